/** A spec that is being edited, as text and as a form at once: the text is the truth, the form changes parts of it. */
import { IDisposable } from '@lumino/disposable';
import { ISignal, Signal } from '@lumino/signaling';

import { Api, ApiError, asApiError } from './api';
import type { IProblem, ISpecEdit, SpecDocument, SpecValue } from './rest';

/** Milliseconds without typing after which a text is checked, or a form's change is written into it. */
const CALM = 250;

export class SpecSession implements IDisposable {
  /** *folder*: where the file is, or would be: relative paths in it start there. */
  constructor(
    private readonly _api: Api,
    text: string,
    private readonly _folder?: string
  ) {
    this._text = this._savedText = text;
    void this._queue(() => this._check());
  }

  get text(): string {
    return this._text;
  }
  /** What the form shows: of the text, or of the form's own changes that are not in the text yet. */
  get document(): SpecDocument {
    return this._document;
  }
  get problems(): readonly IProblem[] {
    return this._problems;
  }
  /** Why the text could not be checked or changed. */
  get error(): ApiError | null {
    return this._error;
  }
  get isDirty(): boolean {
    return this._text !== this._savedText;
  }
  get isDisposed(): boolean {
    return this._disposed;
  }
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The user has written into the text. */
  setText(text: string): void {
    if (text !== this._text) {
      this._text = text;
      this._revision++;
      this._wait(() => this._check());
      this._changed.emit();
    }
  }

  /** The user has changed something in the form. */
  setDocument(document: SpecDocument): void {
    // A form fills in what is empty as soon as it is shown: that is no change, and must not undo a check under way.
    const changes = changesBetween(this._document, document);
    this._document = document;
    if (changes.length > 0) {
      this._revision++;
      this._wait(() => this._write());
    }
    this._changed.emit();
  }

  /** The text as it is now is in its file. */
  markSaved(text: string): void {
    this._savedText = text;
    this._changed.emit();
  }

  /** Once what was typed is in the text, and checked. */
  async settle(): Promise<void> {
    if (this._pending) {
      clearTimeout(this._timer);
      const action = this._pending;
      this._pending = null;
      await this._queue(action);
    }
    await this._running;
  }

  dispose(): void {
    this._disposed = true;
    clearTimeout(this._timer);
    Signal.clearData(this);
  }

  private _wait(action: () => Promise<void>): void {
    clearTimeout(this._timer);
    this._pending = action;
    this._timer = setTimeout(() => {
      this._pending = null;
      void this._queue(action);
    }, CALM);
  }

  /** One after the other: each builds on what the server has said to the one before. */
  private _queue(action: () => Promise<void>): Promise<void> {
    this._running = this._running.then(async () => {
      try {
        await action();
        this._error = null;
      } catch (error) {
        this._error = asApiError(error);
      }
      if (!this._disposed) {
        this._changed.emit();
      }
    });
    return this._running;
  }

  private async _check(): Promise<void> {
    const revision = this._revision;
    const checked = await this._api.checkSpec(this._text, this._folder);
    if (revision === this._revision) {
      this._problems = checked.problems;
      // A text that can't be parsed leaves the form as it was.
      this._written = checked.document ?? this._written;
      this._document = this._written;
    }
  }

  private async _write(): Promise<void> {
    const revision = this._revision;
    const changes = changesBetween(this._written, this._document);
    if (changes.length === 0) {
      return; // such as a row that was added and is still empty: it stays
    }
    const edited = await this._api.editSpec(this._text, changes);
    if (revision === this._revision) {
      this._text = edited.text;
      await this._check();
    } // else the user went on typing, and the next one writes it
  }

  private readonly _changed = new Signal<this, void>(this);
  private _text: string;
  private _savedText: string;
  /** The document of the text that was checked last. */
  private _written: SpecDocument = {};
  private _document: SpecDocument = {};
  private _problems: readonly IProblem[] = [];
  private _error: ApiError | null = null;
  private _revision = 0;
  private _running: Promise<void> = Promise.resolve();
  private _pending: (() => Promise<void>) | null = null;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _disposed = false;
}

/** The edits that make *after* of *before*. What is empty is as what is not there: a form has a field for everything. */
export function changesBetween(before: SpecDocument, after: SpecDocument, way: string[] = []): ISpecEdit[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((name): ISpecEdit[] => {
    const key = [...way, name];
    const [old, now] = [before[name], after[name]];
    if (isEmpty(now)) {
      return isEmpty(old) ? [] : [{ key, value: null }];
    }
    if (isTable(old) && isTable(now)) {
      return changesBetween(old, now, key);
    }
    return JSON.stringify(old) === JSON.stringify(now) ? [] : [{ key, value: withoutEmpty(now) }];
  });
}

function withoutEmpty(value: SpecValue): SpecValue {
  if (!isTable(value)) {
    return value;
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => !isEmpty(item))
      .map(([name, item]) => [name, withoutEmpty(item)])
  );
}

function isTable(value: SpecValue | undefined): value is SpecDocument {
  return typeof value === 'object' && !Array.isArray(value);
}

function isEmpty(value: SpecValue | null | undefined): boolean {
  if (value === undefined || value === null || value === '') {
    return true;
  }
  return typeof value === 'object' && Object.values(value).every(item => isEmpty(item));
}

/** The document with one more Python requirement; one of the same project gives way. */
export function withRequirement(document: SpecDocument, requirement: string): SpecDocument {
  const packages = isTable(document.packages) ? document.packages : {};
  const pip = Array.isArray(packages.pip) ? packages.pip : [];
  const same = projectOf(requirement);
  const others = pip.filter(item => typeof item === 'string' && projectOf(item) !== same);
  return { ...document, packages: { ...packages, pip: [...others, requirement] } };
}

/** The normalised project name of a requirement (PEP 503); paths and options are themselves. */
function projectOf(requirement: string): string {
  const [name] = /^[A-Za-z0-9][A-Za-z0-9._-]*/.exec(requirement) ?? [requirement];
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}
