import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { App } from "./App";

// The responder's answers by path; the whole path runs against the real one in
// deploy/e2e. Here it is about what a page shows of an answer.
let answers: Record<string, { status: number; body: unknown }>;
let streams: FakeStream[];

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
  answers = {
    "/api/v1/status": { status: 200, body: status },
    "/api/v1/alerts?limit=50": { status: 200, body: { items: [] } },
    "/api/v1/actions?limit=50": { status: 200, body: { items: [] } },
  };
  vi.stubGlobal("EventSource", FakeStream);
  vi.stubGlobal("fetch", async (path: string) => {
    const answer = answers[path] ?? { status: 404, body: { title: "not found", code: "not-found" } };
    return new Response(JSON.stringify(answer.body), { status: answer.status });
  });
});
afterEach(cleanup);

function show() {
  const queries = new QueryClient({ defaultOptions: { queries: { retry: false } } });
  render(
    <MantineProvider>
      <QueryClientProvider client={queries}>
        <App />
      </QueryClientProvider>
    </MantineProvider>,
  );
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
