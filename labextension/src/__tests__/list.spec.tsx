import React, { act } from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { fits, List } from '../widgets/list';
import { host, show } from './page';

const NAMES = Array.from({ length: 12 }, (_, index) => `${index % 2 ? 'Genomics' : 'Climate'} ${index}`);

async function showList(items: readonly string[]): Promise<void> {
  const filter = { label: 'Filter', textOf: (item: string) => item, none: 'Nothing fits.' };
  await show(
    <List label="Things" items={items} keyOf={item => item} filter={filter}>
      {(item, tabIndex) => <button tabIndex={tabIndex}>{item}</button>}
    </List>
  );
}

async function type(text: string): Promise<void> {
  const field = host.querySelector('input')!;
  await act(async () => {
    // Past React's own setter of the field, so that it sees a change.
    Reflect.set(HTMLInputElement.prototype, 'value', text, field);
    field.dispatchEvent(new Event('input', { bubbles: true }));
  });
}

const rows = () => [...host.querySelectorAll<HTMLElement>('li:not([hidden])')].map(row => row.textContent);

describe('a long list', () => {
  it('is filtered by words, and back', async () => {
    await showList(NAMES);
    await type('genom 1');
    expect(rows()).toEqual(['Genomics 1', 'Genomics 11']);
    await type('');
    expect(rows()).toEqual(NAMES);
  });

  it('says where nothing fits', async () => {
    await showList(NAMES);
    await type('physics');
    expect(rows()).toEqual([]);
    expect(host.querySelector('[role=status]')!.textContent).toBe('Nothing fits.');
  });

  it('takes the focus at the first that fits, and the arrows pass what does not', async () => {
    await showList(NAMES);
    await type('genomics');
    const stops = [...host.querySelectorAll<HTMLElement>('button')].filter(item => item.tabIndex === 0);
    expect(stops.map(item => item.textContent)).toEqual(['Genomics 1']);
    await act(async () => stops[0].focus());
    const press = new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true, cancelable: true });
    await act(async () => void stops[0].dispatchEvent(press));
    expect(document.activeElement!.textContent).toBe('Genomics 3');
  });

  it('has no field while it is short', async () => {
    await showList(NAMES.slice(0, 11));
    expect(host.querySelector('input')).toBeNull();
  });
});

describe('what is out of sight', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('is drawn in full when it comes into sight, or has the focus', async () => {
    let scroll: (entries: { target: Element; isIntersecting: boolean }[]) => void;
    class Observer {
      observe = vi.fn();
      unobserve = vi.fn();
      constructor(onChange: typeof scroll) {
        scroll = onChange;
      }
    }
    vi.stubGlobal('IntersectionObserver', Observer);
    await show(
      <List
        label="Things"
        items={NAMES}
        keyOf={item => item}
        filter={{ label: '', textOf: String, none: '' }}
      >
        {(item, tabIndex, seen) => (
          <>
            <button tabIndex={tabIndex}>{item}</button>
            {seen && <em />}
          </>
        )}
      </List>
    );
    const full = () => [...host.querySelectorAll('em')].map(mark => mark.parentElement!.textContent);
    expect(full()).toEqual([NAMES[0]]); // where the Tab key goes to
    expect(rows()).toEqual(NAMES); // found by a search, and read by a screen reader
    const [third, last] = [host.querySelectorAll('li')[2], host.querySelectorAll('li')[11]];
    await act(async () => scroll([{ target: third, isIntersecting: true }]));
    expect(full()).toEqual([NAMES[0], NAMES[2]]);
    await act(async () => last.querySelector('button')!.focus());
    await act(async () => scroll([{ target: third, isIntersecting: false }]));
    expect(full()).toEqual([NAMES[11]]);
  });
});

it('searches all words, in any order and case', () => {
  expect(fits('Physics 1 ready', ['ready', 'phys'])).toBe(true);
  expect(fits('Physics 1 ready', ['ready', 'chem'])).toBe(false);
});
