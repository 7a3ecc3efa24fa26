/**
 * What programs write for terminals, as text: colours and weights are kept as names of classes, all other control is
 * left out. Nothing of it becomes markup: builds and kernels are not trusted.
 */

/** A piece of a line that looks the same. */
export interface ISpan {
  text: string;
  /** Names such as `red`, `bold`; of a closed list. */
  styles: readonly string[];
}

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];

// ECMA-48: CSI … final byte; OSC, DCS, PM, APC and SOS … until ST or BEL; two-character escapes.

const ESCAPES = /\x1b\[([0-?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|\x1b[ -/]*[0-~]?/g;
// What is left of control, and the characters that turn the direction of writing (they could make a line lie).

const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

/** The spans of *line*. What was written over after a carriage return is gone, as it is on a terminal. */
export function parseLine(line: string): ISpan[] {
  const shown = line.replace(/\r+$/, '').split('\r').pop() ?? '';
  const spans: ISpan[] = [];
  let styles: readonly string[] = [];
  let position = 0;
  const add = (end: number) => {
    const text = shown.slice(position, end).replace(CONTROLS, '');
    if (text) {
      spans.push({ text, styles });
    }
  };
  for (const found of shown.matchAll(ESCAPES)) {
    add(found.index);
    position = found.index + found[0].length;
    if (found[2] === 'm') {
      styles = applyStyle(styles, found[1]);
    }
  }
  add(shown.length);
  return spans;
}

/** *line* without any control. */
export function plainText(line: string): string {
  return parseLine(line)
    .map(span => span.text)
    .join('');
}

/** *styles* after "select graphic rendition" with these parameters. */
function applyStyle(styles: readonly string[], parameters: string): readonly string[] {
  let next = new Set(styles);
  const codes = parameters.split(/[;:]/).map(code => Number(code || '0'));
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index];
    if (code === 0) {
      next = new Set();
    } else if (code === 1) {
      next.add('bold');
    } else if (code === 4) {
      next.add('underline');
    } else if (code === 22) {
      next.delete('bold');
    } else if (code === 24) {
      next.delete('underline');
    } else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97) || code === 39) {
      COLOURS.forEach(colour => next.delete(colour));
      if (code !== 39) {
        next.add(COLOURS[code % 10]);
      }
    } else if (code === 38 || code === 48) {
      index += codes[index + 1] === 5 ? 2 : 4; // 256 colours, 24 bits: left as the theme has it
    }
  }
  return [...next];
}
