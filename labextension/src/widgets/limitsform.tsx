/** The limits of a notebook, in a dialog: each as its environment has it, or another within what is allowed. */
import { ReactWidget } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import React, { useId } from 'react';

import { formatSize } from '../format';
import { limitLabel, limitText, parseDuration, parseSize, withinMaximum, writeDuration } from '../limits';
import type { ILimits, ILimitsChoice } from '../rest';

const UNITS = { MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;
type Unit = keyof typeof UNITS;
const TIMES = { min: 60, h: 3600 } as const;
type TimeUnit = keyof typeof TIMES;

/** What the fields hold, as it is typed; empty: as the environment has it. */
export interface ILimitsDraft {
  memory: string;
  unit: Unit;
  cpus: string;
  pids: string;
  gpus: string;
  files: string;
  time: string;
  timeUnit: TimeUnit;
  network: '' | 'none' | 'full';
}

export function draftOf(limits: ILimitsChoice): ILimitsDraft {
  const bytes = parseSize(limits.memory) ?? 0;
  const unit: Unit = bytes > 0 && bytes % UNITS.GiB !== 0 ? 'MiB' : 'GiB';
  const seconds = parseDuration(limits.time) ?? 0;
  const timeUnit: TimeUnit = seconds > 0 && seconds % TIMES.h !== 0 ? 'min' : 'h';
  const inUnits = (value: number, size: number) =>
    value > 0 ? String(Math.round((value / size) * 100) / 100) : '';
  return {
    memory: inUnits(bytes, UNITS[unit]),
    unit,
    cpus: String(limits.cpus ?? ''),
    pids: String(limits.pids ?? ''),
    gpus: String(limits.gpus ?? ''),
    files: String(limits.files ?? ''),
    time: inUnits(seconds, TIMES[timeUnit]),
    timeUnit,
    network: limits.network ?? ''
  };
}

/** What *draft* says, as far as it is a number, and within what is allowed. */
export function limitsOf(draft: ILimitsDraft, allowed: ILimits): ILimitsChoice {
  const limits: ILimitsChoice = {};
  const set = (name: Exclude<keyof ILimitsChoice, 'network'>, text: string, scale = 1) => {
    const number = text.trim() === '' ? NaN : Number(text) * scale;
    const value = name === 'cpus' ? number : name === 'gpus' ? Math.floor(number) : Math.round(number);
    if (Number.isFinite(value) && (value > 0 || (value === 0 && name === 'gpus'))) {
      limits[name] = value;
    }
  };
  set('memory', draft.memory, UNITS[draft.unit]);
  set('cpus', draft.cpus);
  set('pids', draft.pids);
  set('gpus', draft.gpus);
  set('files', draft.files);
  set('time', draft.time, TIMES[draft.timeUnit]);
  if (draft.network) {
    limits.network = draft.network;
  }
  return withinMaximum(limits, allowed.maximum);
}

export interface ILimitsFieldsProps {
  draft: ILimitsDraft;
  allowed: ILimits;
  trans: TranslationBundle;
  onChange: (draft: ILimitsDraft) => void;
}

export function LimitsFields(props: ILimitsFieldsProps): React.JSX.Element {
  const { allowed, draft, onChange, trans } = props;
  const { environment: own, maximum, unenforced } = allowed;
  const id = useId();
  const set = (values: Partial<ILimitsDraft>) => onChange({ ...draft, ...values });
  const most = maximum.memory ?? allowed.host.memory;
  const time = maximum.time ?? null;
  const number = (name: 'cpus' | 'pids' | 'gpus' | 'files', otherwise = '') => (
    <NumberField
      id={`${id}-${name}`}
      label={limitLabel(name, trans)}
      value={draft[name]}
      step={name === 'cpus' ? 'any' : 1}
      most={maximum[name] ?? null}
      placeholder={own ? limitText(name, own[name], trans) : ''}
      notes={[
        (maximum[name] ?? null) !== null ? trans.__('At most %1.', maximum[name]) : otherwise,
        lack(unenforced[name], trans)
      ]}
      onChange={value => set({ [name]: value })}
    />
  );
  return (
    <div className="jp-Containers-limits-fields">
      <NumberField
        id={`${id}-memory`}
        label={limitLabel('memory', trans)}
        value={draft.memory}
        step="any"
        most={most / UNITS[draft.unit]}
        placeholder={own ? limitText('memory', parseSize(own.memory), trans) : ''}
        notes={[
          maximum.memory !== null
            ? trans.__('At most %1.', formatSize(maximum.memory))
            : trans.__('This host has %1.', formatSize(allowed.host.memory)),
          lack(unenforced.memory, trans)
        ]}
        onChange={memory => set({ memory })}
      >
        <UnitField
          label={trans.__('Unit of the memory')}
          units={Object.keys(UNITS)}
          value={draft.unit}
          onChange={unit => set({ unit: unit as Unit })}
        />
      </NumberField>
      {number('cpus', trans.__('This host has %1; 0.5 is half of one.', allowed.host.cpus))}
      {maximum.gpus !== 0 && number('gpus')}
      <label htmlFor={`${id}-network`}>{limitLabel('network', trans)}</label>
      <div>
        <div className="jp-Containers-limits-value">
          <select
            id={`${id}-network`}
            className="jp-Containers-limits-network"
            value={draft.network}
            aria-describedby={`${id}-network-note`}
            onChange={event => set({ network: event.target.value as ILimitsDraft['network'] })}
          >
            <option value="">
              {own
                ? trans.__('As the environment: %1', limitText('network', own.network ?? 'none', trans))
                : trans.__('As the environment')}
            </option>
            <option value="none">{trans.__('None')}</option>
            {maximum.network === 'full' && <option value="full">{trans.__('What this host reaches')}</option>}
          </select>
        </div>
        <Note
          id={`${id}-network-note`}
          texts={[maximum.network === 'none' ? trans.__('No kernel has a network here.') : '']}
        />
      </div>
      {number('pids', trans.__('With threads.'))}
      {number('files', trans.__('Each process may have so many.'))}
      <NumberField
        id={`${id}-time`}
        label={limitLabel('time', trans)}
        value={draft.time}
        step="any"
        most={time === null ? null : time / TIMES[draft.timeUnit]}
        placeholder={own ? limitText('time', own.time, trans) : ''}
        notes={[
          time === null
            ? trans.__('From its start on; then it is ended.')
            : trans.__('At most %1; then it is ended.', writeDuration(time))
        ]}
        onChange={value => set({ time: value })}
      >
        <UnitField
          label={trans.__('Unit of the time')}
          units={Object.keys(TIMES)}
          value={draft.timeUnit}
          onChange={unit => set({ timeUnit: unit as TimeUnit })}
        />
      </NumberField>
    </div>
  );
}

function NumberField(props: {
  id: string;
  label: string;
  value: string;
  step: number | 'any';
  most: number | null;
  placeholder: string;
  notes: readonly string[];
  onChange: (value: string) => void;
  /** Beside it. */
  children?: React.ReactNode;
}): React.JSX.Element {
  const { children, id, label, most, notes, onChange, placeholder, step, value } = props;
  return (
    <>
      <label htmlFor={id}>{label}</label>
      <div>
        <div className="jp-Containers-limits-value">
          <input
            id={id}
            type="number"
            min={0}
            step={step}
            max={most ?? undefined}
            value={value}
            placeholder={placeholder}
            aria-describedby={`${id}-note`}
            onChange={event => onChange(event.target.value)}
          />
          {children}
        </div>
        <Note id={`${id}-note`} texts={notes} />
      </div>
    </>
  );
}

function UnitField(props: {
  label: string;
  units: readonly string[];
  value: string;
  onChange: (unit: string) => void;
}): React.JSX.Element {
  const { label, onChange, units, value } = props;
  return (
    <select
      className="jp-Containers-limits-unit"
      aria-label={label}
      value={value}
      onChange={event => onChange(event.target.value)}
    >
      {units.map(unit => (
        <option key={unit}>{unit}</option>
      ))}
    </select>
  );
}

function lack(reason: string | undefined, trans: TranslationBundle): string {
  return reason ? trans.__('This host can’t hold a kernel to it: %1', reason) : '';
}

function Note(props: { id: string; texts: readonly string[] }): React.JSX.Element {
  return <small id={props.id}>{props.texts.filter(text => text).join(' ')}</small>;
}

/** The fields as the body, or a part of the body, of a dialog. */
export class LimitsForm extends ReactWidget {
  constructor(
    before: ILimitsChoice,
    private _allowed: ILimits,
    private readonly _trans: TranslationBundle,
    private readonly _intro = ''
  ) {
    super();
    this.addClass('jp-Containers-limits');
    this._draft = draftOf(before);
  }

  /** What the administrator allows, and what the environment has, which may be another one now. */
  set allowed(allowed: ILimits) {
    this._allowed = allowed;
    this.update();
  }

  /** Whether the fields are there; unseen they need not be. */
  set isOpen(open: boolean) {
    this._isOpen = open;
    this.update();
  }

  getValue(): ILimitsChoice {
    return limitsOf(this._draft, this._allowed);
  }

  protected render(): React.JSX.Element {
    return (
      <>
        {this._intro && <p>{this._intro}</p>}
        {this._isOpen && (
          <LimitsFields
            draft={this._draft}
            allowed={this._allowed}
            trans={this._trans}
            onChange={draft => {
              this._draft = draft;
              this.update();
            }}
          />
        )}
      </>
    );
  }

  private _draft: ILimitsDraft;
  private _isOpen = true;
}
