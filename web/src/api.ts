// The responder's resources, as responder/api/resource.go writes them.

export interface Page<T> {
  items: T[];
  next?: string;
}

export interface Alert {
  id: string;
  time: string;
  cluster: string;
  node: string;
  rule: string;
  priority: string;
  output: string;
  container_id?: string;
  namespace?: string;
  pod?: string;
  recorded?: boolean;
}

export interface Action {
  id: string;
  type: string;
  state: string;
  target_name: string;
  playbook: string;
  mode: string;
  reason: string;
  refused_by?: string;
  note?: string;
  rule: string;
  planned_at: string;
  verified_at?: string;
}

export interface Stage {
  name: string;
  at: string;
  ns: number;
}

export interface Timeline {
  action: string;
  type: string;
  state: string;
  rule: string;
  target_name: string;
  recorded?: boolean;
  stages: Stage[];
  verified: boolean;
}

export interface Status {
  version: string;
  cluster: string;
  kill_switch: { on: boolean; reason?: string };
  agents: { node: string; source: string; seen_at: string }[];
}

export interface Identity {
  name: string;
}

export interface SignInWays {
  issuer?: string;
  failure?: string;
}

/** An error that the API answered with: a code for programs, a text for people. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    text: string,
  ) {
    super(text);
  }
}

/** Calls the API; the session cookie goes along by itself. */
export async function call<T>(path: string, init?: RequestInit): Promise<T> {
  const answer = await fetch(`/api/v1/${path}`, init);
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Refusal(answer.status, problem.code ?? "unknown", problem.detail ?? problem.title ?? answer.statusText);
  }
  return answer.status === 204 ? (undefined as T) : answer.json();
}

function send<T>(path: string, method: string, body?: unknown): Promise<T> {
  return call(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

/** Exchanges the token for a session cookie that scripts cannot read. */
export function signIn(token: string): Promise<void> {
  return send("session", "POST", { token });
}

/** Leaves for the issuer's page, from which the browser comes back to this one. */
export async function signInWithIssuer(): Promise<void> {
  const here = location.pathname + location.search + location.hash;
  leave((await send<Elsewhere>("signin", "POST", { return_to: here })).location);
}

/** Ends the session, and the issuer's if there is one. The page is left: what it shows is nobody's who comes after. */
export async function signOut(): Promise<void> {
  leave((await send<Elsewhere>("session", "DELETE")).location ?? location.origin);
}

interface Elsewhere {
  location?: string;
}

/** Goes to a page of the web, and to nothing else that an address can be. */
function leave(to = "") {
  if (!["https:", "http:"].includes(new URL(to).protocol)) throw new Error("the issuer's address is none of the web");
  location.assign(to);
}
