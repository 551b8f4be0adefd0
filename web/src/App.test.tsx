import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { App } from "./App";

// The responder's answers by path; the whole path runs against the real one in
// deploy/e2e. Here it is about what a page shows of an answer.
let answers: Record<string, { status: number; body: unknown }>;
let streams: FakeStream[];
let asked: unknown[][];

class FakeStream extends EventTarget {
  onopen?: () => void;
  onerror?: () => void;
  close = vi.fn();
  constructor(readonly url: string) {
    super();
    streams.push(this);
  }
}

const status = { version: "1", cluster: "prod", kill_switch: { on: false }, agents: [{ node: "n", source: "ebpf" }] };

beforeEach(() => {
  streams = [];
  asked = [];
  history.replaceState(null, "", "/");
  answers = {
    "/api/v1/signin": { status: 200, body: {} },
    "/api/v1/session": { status: 200, body: { name: "jane", grants: [] } },
    "/api/v1/status": { status: 200, body: status },
    "/api/v1/alerts?limit=50": { status: 200, body: { items: [] } },
    "/api/v1/actions?limit=50": { status: 200, body: { items: [] } },
  };
  vi.stubGlobal("EventSource", FakeStream);
  vi.stubGlobal("fetch", async (path: string, init?: RequestInit) => {
    asked.push([init?.method ?? "GET", path, init?.body]);
    const answer = answers[path] ?? { status: 404, body: { title: "not found", code: "not-found" } };
    return new Response(JSON.stringify(answer.body), { status: answer.status });
  });
});
afterEach(cleanup);

function show() {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <MantineProvider env="test">
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </MantineProvider>,
  );
  return queries;
}

test("without a session one is asked to sign in, and a wrong token is said so", async () => {
  answers["/api/v1/status"] = { status: 401, body: { title: "sign in", code: "unauthenticated" } };
  answers["/api/v1/session"] = {
    status: 401,
    body: { title: "no", code: "bad-token", detail: "this is not the token" },
  };
  show();
  fireEvent.change(await screen.findByLabelText(/Token/), { target: { value: "wrong" } });
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  expect((await screen.findByRole("alert")).textContent).toContain("this is not the token");
});

const ended = { status: 401, body: { title: "sign in", code: "no_session" } };

test("with an issuer one signs in there, and reads why that failed", async () => {
  answers["/api/v1/status"] = ended;
  const failure = "the issuer says <img src=x> gpj.\u202eexe";
  answers["/api/v1/signin"] = { status: 200, body: { issuer: "https://idp.example.com/realms/a", failure } };
  history.replaceState(null, "", "/?action=a1#b");
  show();
  const alert = await screen.findByRole("alert");
  expect(alert.textContent).toContain("<img src=x> gpj.\\u{202e}exe");
  expect(alert.querySelector("img")).toBeNull();
  expect(screen.queryByLabelText(/Token/)).toBeNull();
  answers["/api/v1/signin"] = { status: 200, body: { location: "javascript:alert(1)" } };
  fireEvent.click(screen.getByRole("button", { name: "Sign in with idp.example.com" }));
  await screen.findByText("the issuer's address is none of the web");
  expect(asked).toContainEqual(["POST", "/api/v1/signin", `{"return_to":"/?action=a1#b"}`]);
  fireEvent.click(screen.getByRole("button", { name: "Use a token" }));
  expect(screen.getByLabelText(/Token/)).toBeDefined();
});

test("a session that has ended leaves the page as it is, and goes on after a sign-in", async () => {
  const queries = show();
  await screen.findByText("No alert yet.");
  await screen.findByText("jane");
  answers["/api/v1/status"] = ended;
  await queries.invalidateQueries({ queryKey: ["status"] });
  const dialog = await screen.findByRole("dialog", { name: /Your session has ended/ });
  expect(screen.getByText("No alert yet.")).toBeDefined();
  expect(streams[0]?.close).toHaveBeenCalled();
  answers["/api/v1/status"] = { status: 200, body: status };
  fireEvent.change(within(dialog).getByLabelText(/Token/), { target: { value: "good" } });
  fireEvent.click(within(dialog).getByRole("button", { name: "Sign in" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  expect(streams).toHaveLength(2);
});

test("an event makes the list be read again", async () => {
  show();
  await screen.findByText("No alert yet.");
  const alert = {
    id: "1",
    time: "2026-01-02T03:04:05.678Z",
    cluster: "prod",
    node: "n1",
    rule: "R",
    priority: "Critical",
    output: "o",
  };
  answers["/api/v1/alerts?limit=50"] = { status: 200, body: { items: [alert] } };
  streams[0]?.dispatchEvent(new Event("alert"));
  const table = await screen.findByRole("table", { name: "Alerts" });
  expect(within(table).getByText("Critical")).toBeDefined();
  expect(within(table).getByText("2026-01-02 03:04:05.678 UTC")).toBeDefined();
});

test("text from events is shown, never run and never disguised", async () => {
  const evil = `<img src=x onerror="window.hit=1"> gpj.\u202eexe`;
  const alert = {
    id: "1",
    time: "2026-01-02T03:04:05Z",
    cluster: "c",
    node: "n",
    rule: evil,
    priority: "Critical",
    output: evil,
  };
  answers["/api/v1/alerts?limit=50"] = { status: 200, body: { items: [alert] } };
  show();
  const table = await screen.findByRole("table", { name: "Alerts" });
  expect(table.querySelector("img")).toBeNull();
  expect(within(table).getAllByText(/<img src=x.*gpj\.\\u\{202e\}exe/)).toHaveLength(2);
});

test("the newest action's timeline is shown, and says whether the effect was seen", async () => {
  const action = {
    id: "a1",
    type: "kill_container",
    state: "succeeded",
    target_name: "container 1",
    playbook: "p",
    mode: "enforce",
    reason: "r",
    planned_at: "2026-01-02T03:04:05Z",
  };
  answers["/api/v1/actions?limit=50"] = { status: 200, body: { items: [action] } };
  const timeline = {
    action: "a1",
    type: "kill_container",
    state: "succeeded",
    target_name: "container 1",
    verified: false,
    stages: [
      { name: "syscall", at: "2026-01-02T03:04:05Z", ns: 0 },
      { name: "executed", at: "2026-01-02T03:04:05.012Z", ns: 12_300_000 },
    ],
  };
  answers["/api/v1/actions/a1/timeline"] = { status: 200, body: timeline };
  show();
  const table = await screen.findByRole("table", { name: "Timeline" });
  expect(within(table).getByText("+12.30 ms")).toBeDefined();
  expect(screen.getByText("not verified: succeeded")).toBeDefined();
});

test("a recording and the kill switch are said plainly", async () => {
  answers["/api/v1/status"] = {
    status: 200,
    body: { ...status, kill_switch: { on: true, reason: "maintenance" }, agents: [{ node: "n", source: "recorded" }] },
  };
  show();
  expect(await screen.findByText("These events are a recording")).toBeDefined();
  expect(screen.getByText(/kill switch is on/)).toBeDefined();
  expect(screen.getByText("maintenance")).toBeDefined();
});
