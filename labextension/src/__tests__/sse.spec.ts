import { describe, expect, it } from 'vitest';

import { backoff, EventParser } from '../sse';

const TEXT =
  ': hello\n\nid: 7\nevent: output\ndata: {"text": "é"}\n\ndata: a\r\ndata: b\r\n\r\nevent: end\rdata:c\r\r';
const EVENTS = [
  { type: 'output', data: '{"text": "é"}', id: '7' },
  { type: 'message', data: 'a\nb', id: '7' },
  { type: 'end', data: 'c', id: '7' }
];

describe('EventParser', () => {
  it('finds the same events wherever the text is cut', () => {
    for (let cut = 0; cut <= TEXT.length; cut++) {
      const parser = new EventParser();
      // An event that ends with a carriage return ends for sure when more comes.
      expect([
        ...parser.push(TEXT.slice(0, cut)),
        ...parser.push(TEXT.slice(cut)),
        ...parser.push(': more\n')
      ]).toEqual(EVENTS);
    }
  });

  it('makes no event of comments and empty lines', () => {
    expect(new EventParser().push(': still here\n\n\n\n')).toEqual([]);
  });
});

describe('backoff', () => {
  it('doubles up to a quarter of a minute', () => {
    expect([0, 1, 2, 3, 4, 5, 50].map(attempt => backoff(attempt, 1))).toEqual([
      500, 1000, 2000, 4000, 8000, 15000, 15000
    ]);
  });

  it('spreads who comes back', () => {
    expect(backoff(5, 0)).toBe(11250);
  });
});
