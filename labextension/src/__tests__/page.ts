/** A page of its own for each test of a file that imports this: what React draws is in `host`. */
import React, { act } from 'react';
import { createRoot, Root } from 'react-dom/client';
import { afterEach, beforeEach, expect, vi } from 'vitest';

export let host: HTMLElement;
let root: Root;

beforeEach(() => {
  host = document.createElement('div');
  document.body.append(host);
  root = createRoot(host);
});

afterEach(() => {
  act(() => root.unmount());
  host.remove();
});

export async function show(element: React.ReactElement): Promise<void> {
  await act(async () => root.render(element));
}

/** Let React work until *condition* holds. */
export async function until(condition: () => boolean): Promise<void> {
  await vi.waitFor(async () => {
    await act(async () => new Promise(resolve => setTimeout(resolve, 20)));
    expect(condition()).toBe(true);
  });
}
