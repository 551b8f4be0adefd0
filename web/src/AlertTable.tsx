import { Badge, Table, Text } from "@mantine/core";
import type { Alert } from "./api";
import { utc } from "./time";
import { visible } from "./visible";

const colors: Record<string, string> = {
  Emergency: "red",
  Alert: "red",
  Critical: "red",
  Error: "orange",
  Warning: "yellow",
  Notice: "blue",
  Informational: "gray",
  Debug: "gray",
};

export function AlertTable({ alerts }: { alerts: Alert[] }) {
  if (alerts.length === 0) return <Text c="dimmed">No alert yet.</Text>;
  return (
    <Table.ScrollContainer minWidth={700}>
      <Table striped aria-label="Alerts">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Time</Table.Th>
            <Table.Th>Priority</Table.Th>
            <Table.Th>Rule</Table.Th>
            <Table.Th>Where</Table.Th>
            <Table.Th>What happened</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {alerts.map((alert) => (
            <Table.Tr key={alert.id}>
              <Table.Td style={{ whiteSpace: "nowrap" }}>{utc(alert.time)}</Table.Td>
              <Table.Td>
                <Badge color={colors[alert.priority] ?? "gray"} autoContrast miw="max-content">
                  {visible(alert.priority)}
                </Badge>
                {alert.recorded && (
                  <Badge variant="outline" miw="max-content">
                    recorded
                  </Badge>
                )}
              </Table.Td>
              <Table.Td>{visible(alert.rule)}</Table.Td>
              <Table.Td>{where(alert)}</Table.Td>
              <Table.Td style={{ overflowWrap: "anywhere" }}>{visible(alert.output)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function where(alert: Alert): string {
  if (alert.pod) return visible(`${alert.namespace}/${alert.pod} on ${alert.node}`);
  if (alert.container_id) return visible(`${alert.container_id.slice(0, 12)} on ${alert.node}`);
  return visible(alert.node);
}
