import { Badge, Button, Table, Text } from "@mantine/core";
import type { Action } from "./api";
import { utc } from "./time";
import { visible } from "./visible";

export function ActionTable(props: { actions: Action[]; chosen?: string; onChoose: (id: string) => void }) {
  if (props.actions.length === 0) return <Text c="dimmed">Nothing has been done yet.</Text>;
  return (
    <Table.ScrollContainer minWidth={700}>
      <Table striped aria-label="Actions">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Time</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Action</Table.Th>
            <Table.Th>Target</Table.Th>
            <Table.Th>Why</Table.Th>
            <Table.Th>Timeline</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {props.actions.map((action) => (
            <Table.Tr key={action.id} aria-current={action.id === props.chosen || undefined}>
              <Table.Td style={{ whiteSpace: "nowrap" }}>{utc(action.planned_at)}</Table.Td>
              <Table.Td>
                <State action={action} />
              </Table.Td>
              <Table.Td>{visible(action.type)}</Table.Td>
              <Table.Td>{visible(action.target_name)}</Table.Td>
              <Table.Td style={{ overflowWrap: "anywhere" }}>
                {visible(action.reason)}
                <Text size="xs" c="dimmed">
                  {visible(`${action.playbook} (${action.mode})`)}
                  {action.note && `: ${visible(action.note)}`}
                </Text>
              </Table.Td>
              <Table.Td>
                <Button
                  size="compact-sm"
                  variant="light"
                  onClick={() => props.onChoose(action.id)}
                  aria-label={`Show the timeline of ${visible(action.target_name)}`}
                >
                  Show
                </Button>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

/** The state in words: the effect was seen, or the API only said yes. */
function State({ action }: { action: Action }) {
  if (action.verified_at)
    return (
      <Badge color="green" miw="max-content">
        verified
      </Badge>
    );
  const color = { succeeded: "teal", failed: "red", refused: "orange", unknown: "red" }[action.state] ?? "gray";
  return (
    <Badge color={color} autoContrast miw="max-content">
      {visible(action.refused_by ? `${action.state}: ${action.refused_by}` : action.state)}
    </Badge>
  );
}
