/** The lines of a log: text that grows, and is followed until the user scrolls away from its end. */
import { Message } from '@lumino/messaging';
import { ISignal, Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { ISpan, parseLine } from '../ansi';
import { ILogLine, MOST_LINES } from '../log';

/** Pixels from the end within which the end is in sight. */
const NEAR = 24;

export class LogLines extends Widget {
  constructor(label: string) {
    super();
    this.addClass('jp-Containers-lines');
    this.node.tabIndex = 0;
    this.node.setAttribute('role', 'log');
    this.node.setAttribute('aria-label', label);
    // Hundreds of lines a second would drown a screen reader; the head of the log tells what matters.
    this.node.setAttribute('aria-live', 'off');
  }

  /** Whether the end is kept in sight. */
  get following(): boolean {
    return this._following;
  }
  set following(value: boolean) {
    if (value) {
      this.node.scrollTop = this.node.scrollHeight;
    }
    if (value !== this._following) {
      this._following = value;
      this._followingChanged.emit(value);
    }
  }

  get followingChanged(): ISignal<this, boolean> {
    return this._followingChanged;
  }

  /** Lines that are no longer kept. */
  get dropped(): number {
    return this._dropped;
  }

  /** The lines that are kept, as text. */
  get text(): string {
    return [...this.node.children].map(line => line.textContent).join('\n');
  }

  /** Lines that come in one go are shown in one go. */
  add(line: ILogLine): void {
    this._pending.push(line);
    this._frame ||= requestAnimationFrame(() => this._flush());
  }

  clear(): void {
    this._pending = [];
    this._dropped = 0;
    this.node.replaceChildren();
  }

  handleEvent(event: Event): void {
    if (event.type === 'scroll') {
      const { clientHeight, scrollHeight, scrollTop } = this.node;
      // A pane that is hidden has no height, and was not scrolled by anyone.
      if (clientHeight > 0) {
        this.following = scrollHeight - scrollTop - clientHeight < NEAR;
      }
    } else if (event.type === 'keydown') {
      const { ctrlKey, key, metaKey } = event as KeyboardEvent;
      if ((ctrlKey || metaKey) && key === 'a') {
        event.preventDefault();
        getSelection()?.selectAllChildren(this.node);
      }
    }
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this.node.addEventListener('scroll', this);
    this.node.addEventListener('keydown', this);
  }

  protected onBeforeDetach(msg: Message): void {
    super.onBeforeDetach(msg);
    this.node.removeEventListener('scroll', this);
    this.node.removeEventListener('keydown', this);
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._stayAtEnd();
  }

  private _flush(): void {
    this._frame = 0;
    const lines = this._pending.slice(-MOST_LINES);
    this._dropped += this._pending.length - lines.length;
    this._pending = [];
    this.node.append(...lines.map(renderLine));
    for (let more = this.node.childElementCount - MOST_LINES; more > 0; more--) {
      this.node.firstElementChild!.remove();
      this._dropped++;
    }
    this._stayAtEnd();
  }

  private _stayAtEnd(): void {
    if (this._following) {
      this.node.scrollTop = this.node.scrollHeight;
    }
  }

  private readonly _followingChanged = new Signal<this, boolean>(this);
  private _pending: ILogLine[] = [];
  private _following = true;
  private _frame = 0;
  private _dropped = 0;
}

function renderLine(line: ILogLine): HTMLElement {
  const element = document.createElement('div');
  element.dataset.kind = line.kind;
  const spans = line.text
    .split('\n')
    .flatMap((part, index): ISpan[] => [
      ...(index > 0 ? [{ text: '\n', styles: [] }] : []),
      ...parseLine(part)
    ]);
  for (const span of spans) {
    if (span.styles.length === 0) {
      element.append(span.text);
    } else {
      const piece = document.createElement('span');
      piece.textContent = span.text;
      piece.className = span.styles.map(style => `jp-Containers-ansi-${style}`).join(' ');
      element.append(piece);
    }
  }
  return element;
}
