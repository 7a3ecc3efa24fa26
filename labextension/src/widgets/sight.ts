/** What is out of sight need not be drawn anew with every measurement. */
import React, { useEffect, useState } from 'react';

/** How far beyond the edge of its section a row counts as in sight: it has to be right when it is scrolled there. */
const MARGIN = '200px 0px';

/** Whether the row that the element of *ref* is in can be seen, or nearly. */
export function useInSight(ref: React.RefObject<HTMLElement>): boolean {
  const [seen, setSeen] = useState(true);
  useEffect(() => {
    const row = ref.current?.closest('li');
    if (!row || typeof IntersectionObserver === 'undefined') {
      return undefined;
    }
    const observer = new IntersectionObserver(
      entries => setSeen(entries[entries.length - 1].isIntersecting),
      {
        root: row.closest('.jp-Containers-section'),
        rootMargin: MARGIN
      }
    );
    observer.observe(row);
    return () => observer.disconnect();
  }, [ref]);
  return seen;
}
