/** A spec as a tab: its form beside its text. */
import { Dialog, MainAreaWidget, showDialog } from '@jupyterlab/apputils';
import { CodeEditor, CodeEditorWrapper, IEditorServices } from '@jupyterlab/codeeditor';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { Message } from '@lumino/messaging';
import { BoxLayout, BoxPanel, SplitPanel, Widget } from '@lumino/widgets';
import React from 'react';

import type { Api } from '../api';
import type { IProblem } from '../rest';
import type { ISchema } from '../schema';
import { SpecSession, withRequirement } from '../spec';
import { Trouble } from './messages';
import { PackageSearch } from './packagesearch';
import { SpecForm } from './specform';

/** Pixels below which form and text stand one below the other. */
const NARROW = 720;

export interface ISpecEditorOptions {
  session: SpecSession;
  schema: ISchema;
  api: Api;
  editorServices: IEditorServices;
  trans: TranslationBundle;
  /** Why it can't be changed; empty: it can. */
  readOnly: string;
  /** What is needed, each with the place that says so. */
  found: readonly string[];
  /** What else there is to say of a draft: where it goes, what was left out. */
  notes: readonly string[];
}

export class SpecEditor extends SplitPanel {
  constructor(private readonly _options: ISpecEditorOptions) {
    super({ spacing: 4 });
    this.addClass('jp-Containers-spec');
    const { editorServices, readOnly, session, trans } = _options;
    this.session = session;

    const side = ReactWidget.create(<Side {..._options} />);
    side.addClass('jp-Containers-spec-form');
    this._model = new CodeEditor.Model({ mimeType: 'text/x-toml' });
    this._model.sharedModel.setSource(session.text);
    this._editor = new CodeEditorWrapper({
      model: this._model,
      factory: options => editorServices.factoryService.newDocumentEditor(options),
      editorOptions: { config: { lineNumbers: true, readOnly: readOnly !== '' } }
    });
    this._editor.addClass('jp-Containers-spec-text');
    const problems = ReactWidget.create(
      <Problems session={session} trans={trans} onChoose={problem => this._goTo(problem)} />
    );
    problems.addClass('jp-Containers-spec-problems');

    const right = new BoxPanel({ direction: 'top-to-bottom', spacing: 0 });
    right.addWidget(this._editor);
    right.addWidget(problems);
    BoxLayout.setStretch(this._editor, 3);
    BoxLayout.setStretch(problems, 1);
    this.addWidget(side);
    this.addWidget(right);
    this.setRelativeSizes([1, 1]);

    this._model.sharedModel.changed.connect(this._onTyped);
    session.changed.connect(this._onSession);
  }

  readonly session: SpecSession;

  dispose(): void {
    if (!this.isDisposed) {
      this.session.dispose();
      this._model.dispose();
      super.dispose();
    }
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    const content = this._editor.node.querySelector('.cm-content');
    content?.setAttribute('aria-label', this._options.trans.__('Text of the spec'));
  }

  protected onResize(msg: Widget.ResizeMessage): void {
    this.orientation = msg.width > 0 && msg.width < NARROW ? 'vertical' : 'horizontal';
    super.onResize(msg);
  }

  private readonly _onTyped = () => this.session.setText(this._model.sharedModel.getSource());

  private readonly _onSession = () => {
    // What the form has written; setSource puts the cursor at the start, so only where there is a difference.
    if (this._model.sharedModel.getSource() !== this.session.text) {
      this._model.sharedModel.setSource(this.session.text);
    }
  };

  private _goTo(problem: IProblem): void {
    const line = Math.min((problem.line ?? 1) - 1, this._editor.editor.lineCount - 1);
    this._editor.editor.setCursorPosition({ line, column: 0 });
    this._editor.editor.focus();
  }

  private readonly _model: CodeEditor.Model;
  private readonly _editor: CodeEditorWrapper;
}

/** The tab of a spec; it does not close on what is not saved without asking. */
export class SpecTab extends MainAreaWidget<SpecEditor> {
  constructor(
    content: SpecEditor,
    private readonly _trans: TranslationBundle
  ) {
    super({ content });
    this.toolbar.addClass('jp-Containers-spec-toolbar');
    content.session.changed.connect(() => {
      const { isDirty } = content.session;
      this.title.className = isDirty ? 'jp-mod-dirty' : '';
    });
  }

  protected onCloseRequest(msg: Message): void {
    if (this.content.isDisposed || !this.content.session.isDirty) {
      super.onCloseRequest(msg);
      return;
    }
    const trans = this._trans;
    void showDialog({
      title: trans.__('Close without saving?'),
      body: trans.__('What was changed in “%1” will be lost.', this.title.label),
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Close') })]
    }).then(answer => {
      if (answer.button.accept) {
        this.dispose();
      }
    });
  }
}

/** The form, with what there is to say above it. */
function Side(props: ISpecEditorOptions): React.JSX.Element {
  const { api, found, notes, readOnly, schema, session, trans } = props;
  useSession(session);
  return (
    <>
      {readOnly && <Trouble mild message={trans.__('This spec can only be read here.')} hint={readOnly} />}
      {notes.map(note => (
        <p key={note} className="jp-Containers-note">
          {note}
        </p>
      ))}
      {found.length > 0 && (
        <details className="jp-Containers-note">
          <summary>{trans._n('%1 thing was found', '%1 things were found', found.length)}</summary>
          <ul>
            {found.map(item => (
              <li key={item}>{item}</li>
            ))}
          </ul>
        </details>
      )}
      {!readOnly && (
        <PackageSearch
          api={api}
          trans={trans}
          onAdd={requirement => session.setDocument(withRequirement(session.document, requirement))}
        />
      )}
      <SpecForm
        schema={schema}
        document={session.document}
        disabled={readOnly !== ''}
        trans={trans}
        onChange={document => session.setDocument(document)}
      />
    </>
  );
}

export function Problems(props: {
  session: SpecSession;
  trans: TranslationBundle;
  onChoose: (problem: IProblem) => void;
}): React.JSX.Element {
  const { onChoose, session, trans } = props;
  useSession(session);
  if (session.error) {
    return <Trouble message={session.error.message} hint={session.error.hint} />;
  }
  const { problems } = session;
  return (
    <div>
      <p role="status" className="jp-Containers-problems-head">
        {problems.length === 0
          ? trans.__('Nothing is wrong with it.')
          : trans._n('%1 problem', '%1 problems', problems.length)}
      </p>
      <ul className="jp-Containers-problems">
        {problems.map((problem, index) => (
          <li key={index}>
            <button type="button" onClick={() => onChoose(problem)}>
              {problem.line !== null && <strong>{trans.__('Line %1: ', problem.line)}</strong>}
              {[problem.key, problem.cause].filter(part => part).join(': ')}
              {problem.remedy && <span className="jp-Containers-problem-remedy">{problem.remedy}</span>}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function useSession(session: SpecSession): void {
  const [, render] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    const slot = () => render();
    session.changed.connect(slot);
    render();
    return () => void session.changed.disconnect(slot);
  }, [session]);
}
