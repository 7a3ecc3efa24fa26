/** Dialogs about packages: choosing some, answering a kernel that asks for some, and what came of it. */
import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon, ReactWidget } from '@jupyterlab/ui-components';
import React from 'react';

import type { Api } from '../api';
import type { Answer, IQuestion } from '../requests';
import type { IPackagesChanged } from '../rest';
import { PackageSearch } from './packagesearch';
import { IconButton } from './row';
import { body, Differences } from './tables';

export interface IAddOptions {
  api: Api;
  trans: TranslationBundle;
  /** The environment's name for people. */
  title: string;
  /** Where it goes, in words. */
  note: string;
}

/** The packages that the user chooses; null: none. */
export async function choosePackages(options: IAddOptions): Promise<string[] | null> {
  const { title, trans } = options;
  const result = await new AddDialog({
    title: trans.__('Add packages to %1', title),
    body: new Chooser(options),
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: trans.__('Add to the Environment') })],
    focusNodeSelector: 'input'
  }).launch();
  return result.button.accept && result.value?.length ? result.value : null;
}

/** Keys that belong to the search box stay with it, and nothing is added before something is chosen. */
class AddDialog extends Dialog<string[]> {
  constructor(options: Partial<Dialog.IOptions<string[]>> & { body: Chooser }) {
    super(options);
    this._chooser = options.body;
  }

  resolve(index?: number): void {
    if (index !== 0 && this._chooser.getValue().length === 0) {
      this._chooser.complain();
    } else {
      super.resolve(index);
    }
  }

  protected _evtKeydown(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    const inBody = this._chooser.node.contains(target);
    const typing = target instanceof HTMLInputElement && target.value !== '';
    if (inBody && (event.key === 'Enter' || (event.key === 'Escape' && typing))) {
      return;
    }
    super._evtKeydown(event);
  }

  private readonly _chooser: Chooser;
}

class Chooser extends ReactWidget {
  constructor(private readonly _options: IAddOptions) {
    super();
    this.addClass('jp-Containers-dialog');
    this.addClass('jp-Containers-choose');
  }

  getValue(): string[] {
    return this._chosen;
  }

  /** Nothing is chosen yet, and that is what the user has to do. */
  complain(): void {
    this._missing = true;
    this.update();
    this.node.querySelector<HTMLElement>('input')?.focus();
  }

  protected render(): React.JSX.Element {
    const { api, note, trans } = this._options;
    return (
      <>
        <p>{note}</p>
        <PackageSearch api={api} trans={trans} onAdd={requirement => this._add(requirement)} />
        <p className="jp-Containers-choose-missing" role="alert">
          {this._missing && trans.__('Search for a package and choose it first.')}
        </p>
        {this._chosen.length > 0 && (
          <ul className="jp-Containers-chosen" aria-label={trans.__('Chosen')}>
            {this._chosen.map(item => (
              <li key={item}>
                <span>{item}</span>
                <IconButton
                  icon={closeIcon}
                  label={trans.__('Do not add %1', item)}
                  onClick={() => this._set(this._chosen.filter(other => other !== item))}
                />
              </li>
            ))}
          </ul>
        )}
      </>
    );
  }

  private _add(requirement: string): void {
    this._set([...this._chosen.filter(other => other !== requirement), requirement]);
    // On to the button that does it; the search's own button is gone.
    this.node
      .closest('.jp-Dialog-content')
      ?.querySelector<HTMLElement>('.jp-Dialog-footer .jp-mod-accept')
      ?.focus();
  }

  private _set(chosen: string[]): void {
    this._chosen = chosen;
    this._missing = false;
    this.update();
  }

  private _chosen: string[] = [];
  private _missing = false;
}

/** Ask the user about a kernel's question. Enter says no: the question comes when the kernel likes, maybe as one types. */
export async function askUser(question: IQuestion, title: string, trans: TranslationBundle): Promise<Answer> {
  const answer = await showDialog({
    title: trans.__('Add packages to %1?', title),
    body: body(React.createElement(Question, { question, title, trans })),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Do Not Add') }),
      Dialog.okButton({ label: trans.__('Add') })
    ],
    defaultButton: 0,
    checkbox: { label: trans.__('This kernel is not to ask again'), checked: false }
  });
  return answer.button.accept ? 'yes' : answer.isChecked ? 'never' : 'no';
}

export function Question(props: {
  question: IQuestion;
  title: string;
  trans: TranslationBundle;
}): React.JSX.Element {
  const { question, title, trans } = props;
  return (
    <>
      <p>{trans.__('The kernel of %1 asks for:', question.notebook)}</p>
      <ul className="jp-Containers-goes" tabIndex={0} aria-label={trans.__('Packages')}>
        {question.packages.map((item, index) => (
          <li key={index}>
            <code>{item}</code>
          </li>
        ))}
      </ul>
      <p>
        {trans.__(
          'They and what they need would be fetched from the Python index, written into the spec and the lock of %1, and put into this kernel at once. Its variables stay.',
          title
        )}
      </p>
    </>
  );
}

/** What came of adding or removing packages. */
export function Changed(props: { changed: IPackagesChanged; trans: TranslationBundle }): React.JSX.Element {
  const { changed, trans } = props;
  return (
    <>
      <Differences
        {...changed}
        added={changed.packages}
        before={trans.__('Before')}
        after={trans.__('Now')}
        trans={trans}
      />
      {changed.restart.length > 0 && (
        <p>
          {trans.__(
            'A kernel that runs may have the former version of these in use, and gets them with its restart: %1',
            changed.restart.join(', ')
          )}
        </p>
      )}
    </>
  );
}
