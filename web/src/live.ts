import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

/**
 * Keeps the lists fresh: each server-sent event makes the list that it is about
 * be read again. Returns whether the stream is open. The browser reconnects by
 * itself; what happened in between is read at the reconnect. Only a session that
 * has ended ends it too, until somebody signs in again.
 */
export function useLive(signedIn: boolean): boolean {
  const cache = useQueryClient();
  const [open, setOpen] = useState(false);
  useEffect(() => {
    if (!signedIn) return;
    const stream = new EventSource("/api/v1/events");
    const refresh = (...keys: string[]) => {
      for (const key of keys) cache.invalidateQueries({ queryKey: [key] });
    };
    stream.onopen = () => {
      setOpen(true);
      refresh("alerts", "actions", "timeline", "status");
    };
    stream.onerror = () => setOpen(false);
    stream.addEventListener("reset", () => refresh("alerts", "actions", "timeline", "status"));
    stream.addEventListener("alert", () => refresh("alerts"));
    stream.addEventListener("action", () => refresh("actions", "timeline"));
    return () => {
      stream.close();
      setOpen(false);
    };
  }, [cache, signedIn]);
  return open;
}
