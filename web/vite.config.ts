import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  // The nonce is written into the page by the server at each request.
  html: { cspNonce: "__CSP_NONCE__" },
  build: { outDir: "dist", sourcemap: false },
  server: { proxy: { "/api": "http://127.0.0.1:7411" } },
  test: { environment: "jsdom", setupFiles: ["src/setup.test-env.ts"], testTimeout: 60_000 },
});
