import { afterEach, describe, expect, it, vi } from 'vitest';

import { Choices } from '../choices';

function storage() {
  const held = new Map<string, string>();
  return {
    getItem: (key: string) => held.get(key) ?? null,
    setItem: (key: string, value: string) => void held.set(key, value),
    removeItem: (key: string) => void held.delete(key)
  };
}

describe('what was chosen for a notebook', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  it('is there once for whichever page opens it, and for no other server', () => {
    const shared = storage();
    const [files, page] = [new Choices(shared, '/a/'), new Choices(shared, '/a/')];
    files.add('x.ipynb', { kernel: 'jc-a', limits: { memory: 5 } });
    expect(new Choices(shared, '/b/').take('x.ipynb')).toBeNull();
    expect(page.take('y.ipynb')).toBeNull();
    expect(page.take('x.ipynb')).toEqual({ kernel: 'jc-a', limits: { memory: 5 } });
    expect(page.take('x.ipynb')).toBeNull();
  });

  it('is none any more where no page has opened it', () => {
    vi.useFakeTimers();
    const choices = new Choices(storage(), '');
    choices.add('x.ipynb', { kernel: 'jc-a', limits: {} });
    vi.advanceTimersByTime(60_000);
    expect(choices.take('x.ipynb')).toBeNull();
  });

  it('is nothing where somebody else has written there', () => {
    const shared = storage();
    const key = 'jupyter-containers:chosen::x.ipynb';
    for (const text of ['{', '7', '{"at": "now"}', 'null']) {
      shared.setItem(key, text);
      expect(new Choices(shared, '').take('x.ipynb')).toBeNull();
    }
  });
});
