import { describe, expect, it } from 'vitest';

import { parseLine, plainText } from '../ansi';

describe('parseLine', () => {
  it('keeps colours as names', () => {
    expect(parseLine('a \x1b[1;31merror\x1b[0m b')).toEqual([
      { text: 'a ', styles: [] },
      { text: 'error', styles: ['bold', 'red'] },
      { text: ' b', styles: [] }
    ]);
  });

  it('shows what a terminal shows after carriage returns', () => {
    expect(plainText('10 %\r50 %\r100 %')).toBe('100 %');
    expect(plainText('done\r')).toBe('done');
  });

  it.each([
    ['a title', '\x1b]0;pwned\x07text', 'text'],
    ['a link', '\x1b]8;;http://example.org\x1b\\text\x1b]8;;\x1b\\', 'text'],
    ['cursor moves', 'te\x1b[2Jx\x1b[10;10Ht', 'text'],
    ['a private mode', '\x1b[?25ltext\x1b[?25h', 'text'],
    ['bells and nulls', 't\x07e\x00x\x08t', 'text'],
    ['an escape that never ends', 'text\x1b]0;title', 'text'],
    ['C1 controls', 'te\x9bxt', 'text'],
    ['turned writing', 'te\u202ext\u202c', 'text'],
    ['256 colours', '\x1b[38;5;196mtext\x1b[48;2;1;2;3m', 'text']
  ])('leaves out %s', (_, line, shown) => {
    expect(plainText(line)).toBe(shown);
  });

  it('keeps tabs and markup as text', () => {
    expect(plainText('a\t<b>&amp;</b>')).toBe('a\t<b>&amp;</b>');
  });
});
