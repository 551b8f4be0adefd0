import { Alert, Button, Code, Paper, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { type FormEvent, useState } from "react";
import { signIn } from "./api";

export function SignIn({ onDone }: { onDone: () => void }) {
  const [token, setToken] = useState("");
  const [failure, setFailure] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    try {
      await signIn(token.trim());
      onDone();
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <Paper component="main" withBorder p="lg" maw={460} mx="auto" mt="15vh">
      <form onSubmit={submit}>
        <Stack>
          <Title order={1} size="h3">
            Sign in to Riposte
          </Title>
          <Text size="sm">
            The token is in the file <Code>token</Code> of the data folder, which <Code>riposte up</Code> names when it
            starts.
          </Text>
          <PasswordInput
            label="Token"
            value={token}
            onChange={(event) => setToken(event.currentTarget.value)}
            autoFocus
            required
          />
          {failure && (
            <Alert color="red" role="alert" title="Not signed in">
              {failure}
            </Alert>
          )}
          <Button type="submit">Sign in</Button>
        </Stack>
      </form>
    </Paper>
  );
}
