import { Alert, Badge, Button, Container, Group, Loader, Modal, Stack, Text, Title } from "@mantine/core";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { ActionTable } from "./ActionTable";
import { AlertTable } from "./AlertTable";
import {
  type Action,
  type Alert as AlertRow,
  call,
  type Identity,
  type Page,
  Refusal,
  type Status,
  signOut,
  type Timeline,
} from "./api";
import { useChosen } from "./chosen";
import { useLive } from "./live";
import { SignIn, SignInForm } from "./SignIn";
import { TimelineView } from "./TimelineView";
import { visible } from "./visible";

export function App() {
  const cache = useQueryClient();
  const status = useQuery({ queryKey: ["status"], queryFn: () => call<Status>("status"), refetchInterval: 15_000 });
  const signedOut = status.error instanceof Refusal && status.error.status === 401;
  const refresh = () => cache.invalidateQueries();
  const silent = status.error && !signedOut && (
    <Alert color="red" m="xl" role="alert" title="The responder does not answer">
      {visible(status.error.message)}
    </Alert>
  );
  if (!status.data) return signedOut ? <SignIn onDone={refresh} /> : silent || <Loader aria-label="Loading" m="xl" />;
  return (
    <>
      {silent}
      <Board status={status.data} signedIn={!signedOut} />
      {/* Over the page, which stays as it is: somebody may be in the middle of something. */}
      <Modal
        opened={signedOut}
        onClose={() => {}}
        withCloseButton={false}
        closeOnEscape={false}
        lockScroll={false} // its style element would need a nonce
        title="Your session has ended. Sign in again to go on."
      >
        <SignInForm onDone={refresh} />
      </Modal>
    </>
  );
}

function Board({ status, signedIn }: { status: Status; signedIn: boolean }) {
  const live = useLive(signedIn);
  const [chosen, setChosen] = useChosen();
  const who = useQuery({ queryKey: ["identity"], queryFn: () => call<Identity>("session") });
  const alerts = useQuery({ queryKey: ["alerts"], queryFn: () => call<Page<AlertRow>>("alerts?limit=50") });
  const actions = useQuery({ queryKey: ["actions"], queryFn: () => call<Page<Action>>("actions?limit=50") });
  // Until a person chooses, the newest action's story is shown.
  const shown = chosen ?? actions.data?.items[0]?.id;
  const timeline = useQuery({
    queryKey: ["timeline", shown],
    queryFn: () => call<Timeline>(`actions/${shown}/timeline`),
    enabled: shown !== undefined,
  });
  const recorded = status.agents.some((agent) => agent.source === "recorded");
  return (
    <Container component="main" size="xl" py="md">
      <Stack>
        <Group>
          <Title order={1} size="h2">
            Riposte
          </Title>
          <Badge variant="outline">{visible(status.cluster)}</Badge>
          <Badge color={live ? "green" : "red"} role="status">
            {live ? "live" : "reconnecting"}
          </Badge>
          <Badge color="gray">{status.agents.length === 1 ? "1 agent" : `${status.agents.length} agents`}</Badge>
          <Group ml="auto" gap="xs">
            {who.data && <Text size="sm">{visible(who.data.name)}</Text>}
            <Button size="compact-sm" variant="default" onClick={signOut}>
              Sign out
            </Button>
          </Group>
        </Group>
        {status.kill_switch.on && (
          <Alert color="red" title="The kill switch is on: nothing is being done">
            {visible(status.kill_switch.reason ?? "")}
          </Alert>
        )}
        {recorded && (
          <Alert color="yellow" title="These events are a recording">
            The kernel's events cannot be seen here, so a recording is played. Nothing is really contained.
          </Alert>
        )}
        <section aria-labelledby="timeline">
          <Title order={2} size="h4" id="timeline" mb="xs">
            Timeline
          </Title>
          {timeline.data ? <TimelineView timeline={timeline.data} /> : "No action yet."}
        </section>
        <section aria-labelledby="actions">
          <Title order={2} size="h4" id="actions" mb="xs">
            Actions
          </Title>
          <ActionTable actions={actions.data?.items ?? []} chosen={shown} onChoose={setChosen} />
        </section>
        <section aria-labelledby="alerts">
          <Title order={2} size="h4" id="alerts" mb="xs">
            Alerts
          </Title>
          <AlertTable alerts={alerts.data?.items ?? []} />
        </section>
      </Stack>
    </Container>
  );
}
