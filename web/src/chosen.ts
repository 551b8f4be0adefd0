import { useState } from "react";

/**
 * The chosen action. It stands in the page's address, so that a reload and a
 * sign-in elsewhere come back to it, and so that it can be sent to somebody.
 */
export function useChosen(): [string | undefined, (id: string) => void] {
  const [chosen, setChosen] = useState(() => new URLSearchParams(location.search).get("action") ?? undefined);
  const choose = (id: string) => {
    history.replaceState(null, "", `?action=${encodeURIComponent(id)}`);
    setChosen(id);
  };
  return [chosen, choose];
}
