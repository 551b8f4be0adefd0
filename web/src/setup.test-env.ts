import { configure } from "@testing-library/react";

// A busy machine takes its time; what never comes still fails the test.
configure({ asyncUtilTimeout: 20_000 });

// jsdom has no layout: Mantine asks for it.
Object.defineProperty(window, "matchMedia", {
  value: (query: string) => ({
    matches: false,
    media: query,
    addEventListener: () => {},
    removeEventListener: () => {},
    addListener: () => {},
    removeListener: () => {},
  }),
});
class NoObserver {
  observe() {}
  unobserve() {}
  disconnect() {}
}
Object.defineProperty(window, "ResizeObserver", { value: NoObserver });
