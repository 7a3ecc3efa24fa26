/** A list that the arrow keys walk through: one stop of the Tab key, then those of the row that has the focus. */
import React, { useCallback, useDeferredValue, useMemo, useRef, useState } from 'react';

import { Sight, useInSight } from './sight';

/** Items from which on a list can be filtered, and draws in full only what can be seen. */
const MANY = 12;

export interface IListProps<T> {
  label: string;
  items: readonly T[];
  keyOf: (item: T) => string;
  /** How a long list is filtered: what its field is called, what is searched, and what is said where nothing fits. */
  filter?: { label: string; textOf: (item: T) => string; none: string };
  /**
   * Renders a row; what can have the focus in it takes *tabIndex*, and its first is what the arrows go to. One that is not
   * *seen* needs its first button, its text and its height alone.
   */
  children: (item: T, tabIndex: 0 | -1, seen: boolean) => React.ReactNode;
}

export function List<T>(props: IListProps<T>): React.JSX.Element {
  const { filter, items, keyOf } = props;
  const [query, setQuery] = useState('');
  // The field keeps up with the keys, the list comes after.
  const words = useDeferredValue(query).toLowerCase().split(/\s+/);
  const isLong = filter !== undefined && items.length >= MANY;
  const fitting = isLong ? items.filter(item => fits(filter.textOf(item), words)) : items;
  const shown = new Set(fitting);
  const [current, setCurrent] = useState('');
  const list = useRef<HTMLUListElement>(null);
  const sight = useMemo(
    () => (isLong && typeof IntersectionObserver !== 'undefined' ? new Sight() : null),
    [isLong]
  );
  // The row that had the focus may be gone.
  const entry = fitting.some(item => keyOf(item) === current)
    ? current
    : fitting.length > 0
      ? keyOf(fitting[0])
      : '';

  const onKeyDown = useCallback((event: React.KeyboardEvent) => {
    const target = event.target as HTMLElement;
    const row = target.closest('li[data-key]');
    if (!row || !list.current || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName)) {
      return;
    }
    const rows = [...list.current.querySelectorAll(':scope > li:not([hidden])')];
    const controls = [...row.querySelectorAll<HTMLElement>('button')];
    const next = walk(event.key, rows.indexOf(row), rows.length, controls.indexOf(target), controls.length);
    if (next) {
      event.preventDefault();
      const wanted = [...rows[next.row].querySelectorAll<HTMLElement>('button')][next.control];
      wanted?.focus();
    }
  }, []);

  const onFocus = useCallback((event: React.FocusEvent) => {
    const row = (event.target as HTMLElement).closest<HTMLElement>('li[data-key]');
    setCurrent(row?.dataset.key ?? '');
  }, []);

  return (
    <div className={isLong ? 'jp-Containers-listing jp-mod-long' : 'jp-Containers-listing'}>
      {isLong && (
        <div className="jp-Containers-filter">
          <input
            type="search"
            className="jp-mod-styled"
            aria-label={filter.label}
            placeholder={filter.label}
            value={query}
            onChange={event => setQuery(event.target.value)}
          />
        </div>
      )}
      {isLong && fitting.length === 0 && (
        <p className="jp-Containers-empty" role="status">
          {filter.none}
        </p>
      )}
      <ul
        className="jp-Containers-list"
        aria-label={props.label}
        ref={list}
        onKeyDown={onKeyDown}
        onFocus={onFocus}
      >
        {items.map(item => {
          const key = keyOf(item);
          // Hidden, not taken out: to make some hundred rows anew takes longer than a key may.
          return (
            <Item key={key} name={key} hidden={!shown.has(item)} sight={sight}>
              {seen => props.children(item, key === entry ? 0 : -1, seen || key === entry)}
            </Item>
          );
        })}
      </ul>
    </div>
  );
}

function Item(props: {
  name: string;
  hidden: boolean;
  sight: Sight | null;
  children: (seen: boolean) => React.ReactNode;
}): React.JSX.Element {
  const place = useRef<HTMLLIElement>(null);
  const seen = useInSight(place, props.sight);
  return (
    <li ref={place} data-key={props.name} hidden={props.hidden}>
      {props.children(seen)}
    </li>
  );
}

/** Whether all *words*, in lower case, are somewhere in *text*. */
export function fits(text: string, words: readonly string[]): boolean {
  const searched = text.toLowerCase();
  return words.every(word => searched.includes(word));
}

/** Where a key leads from a control of a row; null: nowhere. */
export function walk(
  key: string,
  row: number,
  rows: number,
  control: number,
  controls: number
): { row: number; control: number } | null {
  switch (key) {
    case 'ArrowDown':
      return row + 1 < rows ? { row: row + 1, control: 0 } : null;
    case 'ArrowUp':
      return row > 0 ? { row: row - 1, control: 0 } : null;
    case 'Home':
      return { row: 0, control: 0 };
    case 'End':
      return { row: rows - 1, control: 0 };
    case 'ArrowRight':
      return control + 1 < controls ? { row, control: control + 1 } : null;
    case 'ArrowLeft':
      return control > 0 ? { row, control: control - 1 } : null;
    default:
      return null;
  }
}
