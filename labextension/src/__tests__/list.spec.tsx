import React, { act } from 'react';
import { describe, expect, it } from 'vitest';

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

it('searches all words, in any order and case', () => {
  expect(fits('Physics 1 ready', ['ready', 'phys'])).toBe(true);
  expect(fits('Physics 1 ready', ['ready', 'chem'])).toBe(false);
});
