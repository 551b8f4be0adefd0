import { Badge, Group, Table, Text } from "@mantine/core";
import type { Timeline } from "./api";
import { duration, utc } from "./time";
import { visible } from "./visible";

export function TimelineView({ timeline }: { timeline: Timeline }) {
  return (
    <>
      <Group mb="xs">
        <Text fw={600}>
          {visible(timeline.type)} {visible(timeline.target_name)}
        </Text>
        <Badge color={timeline.verified ? "green" : "gray"} autoContrast>
          {timeline.verified ? "verified" : `not verified: ${visible(timeline.state)}`}
        </Badge>
        {timeline.recorded && <Badge variant="outline">recorded: nothing was contained</Badge>}
      </Group>
      <Table aria-label="Timeline" maw={560}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Stage</Table.Th>
            <Table.Th>After the system call</Table.Th>
            <Table.Th>At</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {timeline.stages.map((stage) => (
            <Table.Tr key={stage.name}>
              <Table.Td>{visible(stage.name)}</Table.Td>
              <Table.Td>{stage.ns === 0 ? "0" : `+${duration(stage.ns)}`}</Table.Td>
              <Table.Td>{utc(stage.at)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </>
  );
}
