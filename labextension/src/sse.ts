/**
 * Server-sent events as they come from a stream (HTML standard, section 9.2). The browser's own `EventSource` sends no
 * token and does not tell a status from a broken line, so the stream is read with `fetch`, and parsed here.
 */

export interface ISentEvent {
  /** `message` where the server gave no type. */
  type: string;
  data: string;
  /** The last id that was given, by this event or one before. */
  id: string;
}

/** Makes events of pieces of text, wherever the pieces are cut. */
export class EventParser {
  /** The events that end in *piece*. Comments, such as the heartbeat, are none. */
  push(piece: string): ISentEvent[] {
    // A piece may end between CR and LF; both alone end a line too.
    const text = this._rest + piece;
    const whole = text.endsWith('\r') ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\n|\r/);
    this._rest = lines.pop() + text.slice(whole.length);
    const events: ISentEvent[] = [];
    for (const line of lines) {
      if (line === '') {
        if (this._data.length > 0) {
          events.push({ type: this._type || 'message', data: this._data.join('\n'), id: this._id });
        }
        this._type = '';
        this._data = [];
        continue;
      }
      const [, field, value] = /^([^:]*)(?::\s?)?(.*)$/.exec(line) ?? [];
      if (field === 'data') {
        this._data.push(value);
      } else if (field === 'event') {
        this._type = value;
      } else if (field === 'id') {
        this._id = value;
      }
    }
    return events;
  }

  private _rest = '';
  private _type = '';
  private _data: string[] = [];
  private _id = '';
}

/** Milliseconds to wait before attempt number *attempt* (from 0): doubling up to 15 s, with a quarter of chance so
 * that a hundred pages don't come back to a restarted server in the same instant. */
export function backoff(attempt: number, chance: number = Math.random()): number {
  return Math.min(15_000, 500 * 2 ** attempt) * (0.75 + chance / 4);
}
