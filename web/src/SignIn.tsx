import { Alert, Anchor, Button, Code, Divider, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { call, type SignInWays, signIn, signInWithIssuer } from "./api";
import { visible } from "./visible";

export function SignIn({ onDone }: { onDone: () => void }) {
  return (
    <Paper component="main" withBorder p="lg" maw={460} mx="auto" mt="15vh">
      <Stack>
        <Title order={1} size="h3">
          Sign in to Riposte
        </Title>
        <SignInForm onDone={onDone} />
      </Stack>
    </Paper>
  );
}

/** The ways to sign in that the responder offers: with its issuer, and with a token. */
export function SignInForm({ onDone }: { onDone: () => void }) {
  const ways = useQuery({ queryKey: ["signin"], queryFn: () => call<SignInWays>("signin") });
  const [token, setToken] = useState("");
  const [withToken, setWithToken] = useState(false);
  const [failure, setFailure] = useState<string>();
  const attempt = async (what: () => Promise<void>) => {
    try {
      setFailure("");
      await what();
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    attempt(async () => {
      await signIn(token.trim());
      onDone();
    });
  };
  const issuer = ways.data?.issuer;
  // What this page tried counts more than what was tried before it was loaded.
  const shown = failure ?? ways.data?.failure;
  return (
    <Stack>
      {shown && (
        <Alert color="red" role="alert" title="Not signed in">
          {visible(shown)}
        </Alert>
      )}
      {issuer && (
        <>
          <Button onClick={() => attempt(signInWithIssuer)}>Sign in with {visible(new URL(issuer).host)}</Button>
          {!withToken && (
            <Anchor component="button" type="button" size="sm" onClick={() => setWithToken(true)}>
              Use a token
            </Anchor>
          )}
        </>
      )}
      {(!issuer || withToken) && !ways.isPending && (
        <form onSubmit={submit}>
          <Stack>
            {issuer && <Divider label="or with a token" />}
            <Text size="sm">
              The token is in the file <Code>token</Code> of the data folder, which <Code>riposte up</Code> names when
              it starts.
            </Text>
            <PasswordInput
              label="Token"
              value={token}
              onChange={(event) => setToken(event.currentTarget.value)}
              data-autofocus
              autoFocus
              required
            />
            <Button type="submit" variant={issuer ? "default" : "filled"}>
              Sign in
            </Button>
          </Stack>
        </form>
      )}
    </Stack>
  );
}
