/** What kernels ask for with `%container add`. They are not trusted: the user says yes or no, and to one at a time. */
import type { TranslationBundle } from '@jupyterlab/translation';

import { asApiError } from './api';
import { visible } from './carried';
import { doneText } from './jobs';
import type { IContainer, IJob } from './rest';

/** The target of the comm, as `kernels/inside.py` has it. */
export const TARGET = 'jupyter-containers';

const VERSION = 1;
const MOST = 100;
const LONGEST = 200;

/** A question, as the user sees it. */
export interface IQuestion {
  /** The words of the kernel. */
  packages: readonly string[];
  /** The environment's name by the server. */
  environment: string;
  container: string;
  /** Of the notebook, in this page. */
  notebook: string;
}

/** `never`: no, and this kernel is not to ask again. */
export type Answer = 'yes' | 'no' | 'never';

/** What a cell is told, by its comm. */
export interface ITold {
  state: 'refused' | 'running' | 'done' | 'failed';
  text: string;
}

/** What stands behind the comm: the user, and the server. */
export interface IRequestHost {
  containerOf(kernelId: string): Promise<IContainer | undefined>;
  /** The environment of a container, as the server tells it; '': it is of none that is known. */
  environmentOf(container: IContainer): string;
  ask(question: IQuestion): Promise<Answer>;
  add(question: IQuestion): Promise<IJob>;
  ended(job: IJob, onChange: (job: IJob) => void): Promise<IJob>;
}

export class Requests {
  constructor(
    private readonly _host: IRequestHost,
    private readonly _trans: TranslationBundle
  ) {}

  /** Answer the question *data* of a kernel; *tell* is called as it goes on. */
  async receive(
    kernelId: string,
    notebook: string,
    data: unknown,
    tell: (told: ITold) => void
  ): Promise<void> {
    const trans = this._trans;
    const refuse = (text: string) => tell({ state: 'refused', text });
    const packages = readRequest(data);
    if (packages === null) {
      return refuse(trans.__('Not added: this page does not understand the question.'));
    }
    if (this._silenced.has(kernelId)) {
      return refuse(trans.__('Not added: this kernel is not to ask any more. Restart it to be asked again.'));
    }
    if (this._asking.has(kernelId)) {
      return refuse(trans.__('Not added: one question of this kernel waits for its answer already.'));
    }
    this._asking.add(kernelId);
    try {
      const question = await this._question(kernelId, notebook, packages);
      if (question === null) {
        return refuse(trans.__('Not added: the environment of this kernel is not known.'));
      }
      const answer = await this._host.ask(question);
      if (answer !== 'yes') {
        if (answer === 'never') {
          this._silenced.add(kernelId);
        }
        return refuse(trans.__('Not added: you said no.'));
      }
      tell(await this._add(question, tell));
    } catch (reason) {
      const error = asApiError(reason);
      tell({ state: 'failed', text: [error.message, error.hint].filter(part => part).join('\n') });
    } finally {
      this._asking.delete(kernelId);
    }
  }

  /** A kernel was restarted or has ended: it may ask again. */
  forget(kernelId: string): void {
    this._silenced.delete(kernelId);
  }

  private async _question(
    kernelId: string,
    notebook: string,
    packages: readonly string[]
  ): Promise<IQuestion | null> {
    const container = await this._host.containerOf(kernelId);
    const environment = container ? this._host.environmentOf(container) : '';
    return container && environment ? { packages, environment, container: container.id, notebook } : null;
  }

  private async _add(question: IQuestion, tell: (told: ITold) => void): Promise<ITold> {
    const job = await this._host.add(question);
    let said = '';
    const onChange = ({ title, phase }: IJob) => {
      const text = phase ? `${title}: ${phase} …` : `${title} …`;
      if (text !== said) {
        said = text;
        tell({ state: 'running', text });
      }
    };
    onChange(job);
    const end = await this._host.ended(job, onChange);
    if (end.state === 'done') {
      return { state: 'done', text: doneText(end, this._trans) };
    }
    const why = end.state === 'cancelled' ? this._trans.__('it was cancelled') : end.error;
    return { state: 'failed', text: [`${end.title}: ${why}`, end.hint].filter(part => part).join('\n') };
  }

  private readonly _asking = new Set<string>();
  private readonly _silenced = new Set<string>();
}

/** The packages that a kernel asks for, as text that can be shown; null: it is no such question. */
export function readRequest(data: unknown): readonly string[] | null {
  const { action, packages, version } = (typeof data === 'object' && data !== null ? data : {}) as {
    [key: string]: unknown;
  };
  if (version !== VERSION || action !== 'add' || !Array.isArray(packages)) {
    return null;
  }
  const fits = (item: unknown): item is string =>
    typeof item === 'string' && item.trim() !== '' && item.length <= LONGEST && visible(item) === item;
  return packages.length > 0 && packages.length <= MOST && packages.every(fits) ? packages : null;
}
