/** What is out of sight need not be drawn in full: a hundred rows cost as much as the ten that are seen. */
import React, { useEffect, useState } from 'react';

/** How far beyond the edge of its list a row counts as in sight: it has to be right when it is scrolled there. */
const MARGIN = '300px 0px';

/** Tells rows of one list whether they can be seen, or nearly. One observer watches all: each costs every frame. */
export class Sight {
  /** Call *tell* now and when it changes, until what is returned is called. */
  watch(row: HTMLElement, tell: (seen: boolean) => void): () => void {
    this._observer ??= new IntersectionObserver(entries => this._onChange(entries), {
      root: row.parentElement,
      rootMargin: MARGIN
    });
    this._rows.set(row, tell);
    this._observer.observe(row);
    return () => {
      this._rows.delete(row);
      this._observer?.unobserve(row);
    };
  }

  private _onChange(entries: readonly IntersectionObserverEntry[]): void {
    for (const { isIntersecting, target } of entries) {
      this._rows.get(target)?.(isIntersecting);
    }
  }

  private _observer: IntersectionObserver | null = null;
  private readonly _rows = new Map<Element, (seen: boolean) => void>();
}

/** Whether a row can be seen, or nearly; without *sight* it always counts as seen. */
export function useInSight(row: React.RefObject<HTMLElement>, sight: Sight | null): boolean {
  const [seen, setSeen] = useState(false);
  useEffect(() => sight?.watch(row.current!, setSeen), [row, sight]);
  return seen || sight === null;
}
