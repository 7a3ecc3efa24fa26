/** A row of the panel: a name, a line about it, its buttons, and, unfolded, its details. */
import { Button, caretRightIcon, ellipsesIcon, LabIcon } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import { ReadonlyJSONObject } from '@lumino/coreutils';
import { Menu } from '@lumino/widgets';
import React, { useId, useState } from 'react';

import type { Tone } from '../environments';

export interface IRowProps {
  title: string;
  /** The whole of what the title may be too short for. */
  caption?: string;
  summary: string;
  tone?: Tone;
  /** 0 to 100; null: it is at work, and its end can't be told; undefined: it is not at work. */
  percent?: number | null;
  /** Commands with a button of their own. */
  buttons: readonly string[];
  /** Commands of the menu, in groups. */
  menu: readonly (readonly string[])[];
  menuLabel: string;
  /** What the commands are about. */
  args: ReadonlyJSONObject;
  commands: CommandRegistry;
  tabIndex: 0 | -1;
  /** It can be seen; else its icons and buttons can wait. */
  seen: boolean;
  /** Below the summary, always there. */
  children?: React.ReactNode;
  /** Shown when it is unfolded. */
  details?: () => React.ReactNode;
}

export function Row(props: IRowProps): React.JSX.Element {
  const { args, commands, seen, tabIndex } = props;
  const [open, setOpen] = useState(false);
  const id = useId();

  const openMenu = (x: number, y: number) => showMenu(commands, props.menu, args, x, y);

  return (
    <div
      className="jp-Containers-row"
      data-tone={props.tone ?? 'plain'}
      onContextMenu={event => {
        if (!event.shiftKey) {
          event.preventDefault();
          event.stopPropagation();
          openMenu(event.clientX, event.clientY);
        }
      }}
    >
      <div className="jp-Containers-row-head">
        <button
          type="button"
          className="jp-Containers-row-name"
          tabIndex={tabIndex}
          aria-expanded={open}
          aria-controls={open ? id : undefined}
          title={props.caption ?? props.title}
          onClick={() => setOpen(!open)}
        >
          {seen ? (
            <caretRightIcon.react tag="span" className="jp-Containers-caret" />
          ) : (
            <span className="jp-Containers-caret" />
          )}
          <span className="jp-Containers-title">{props.title}</span>
        </button>
        {seen && (
          <>
            {props.buttons.map(command => (
              <CommandButton
                key={command}
                command={command}
                args={args}
                commands={commands}
                tabIndex={tabIndex}
              />
            ))}
            <IconButton
              icon={ellipsesIcon}
              label={props.menuLabel}
              hasPopup
              tabIndex={tabIndex}
              onClick={event => {
                const box = event.currentTarget.getBoundingClientRect();
                openMenu(box.left, box.bottom);
              }}
            />
          </>
        )}
      </div>
      <div className="jp-Containers-summary" title={props.summary}>
        <span className="jp-Containers-dot" aria-hidden="true" />
        <span className="jp-Containers-summary-text">{props.summary}</span>
      </div>
      {props.percent !== undefined && <Progress percent={props.percent} label={props.summary} />}
      {props.children}
      {open && props.details && (
        <div id={id} className="jp-Containers-details">
          {props.details()}
        </div>
      )}
    </div>
  );
}

export function Progress(props: { percent: number | null; label: string }): React.JSX.Element {
  const known = props.percent !== null;
  return (
    <div
      className={known ? 'jp-Containers-progress' : 'jp-Containers-progress jp-mod-endless'}
      role="progressbar"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={known ? Math.round(props.percent!) : undefined}
    >
      <div style={known ? { width: `${props.percent}%` } : undefined} />
    </div>
  );
}

/** A button for *command*, with its icon, and its label as its name. */
export function CommandButton(props: {
  command: string;
  args: ReadonlyJSONObject;
  commands: CommandRegistry;
  tabIndex?: 0 | -1;
}): React.JSX.Element {
  const { args, command, commands } = props;
  return (
    <IconButton
      icon={commands.icon(command, args) as LabIcon}
      label={commands.label(command, args)}
      disabled={!commands.isEnabled(command, args)}
      tabIndex={props.tabIndex}
      onClick={() => void commands.execute(command, args)}
    />
  );
}

export function IconButton(props: {
  icon: LabIcon;
  label: string;
  onClick: React.MouseEventHandler<HTMLButtonElement>;
  disabled?: boolean;
  hasPopup?: boolean;
  tabIndex?: 0 | -1;
}): React.JSX.Element {
  return (
    <Button
      type="button"
      minimal
      small
      className="jp-Containers-button"
      title={props.label}
      aria-label={props.label}
      aria-haspopup={props.hasPopup ? 'menu' : undefined}
      disabled={props.disabled}
      tabIndex={props.tabIndex}
      onClick={props.onClick}
    >
      <props.icon.react tag="span" />
    </Button>
  );
}

/** Open a menu of *groups* of commands at a place of the page. */
export function showMenu(
  commands: CommandRegistry,
  groups: readonly (readonly string[])[],
  args: ReadonlyJSONObject,
  x: number,
  y: number
): void {
  const menu = new Menu({ commands });
  groups.forEach((group, index) => {
    if (index > 0) {
      menu.addItem({ type: 'separator' });
    }
    group.forEach(command => menu.addItem({ command, args }));
  });
  const opener = document.activeElement;
  menu.aboutToClose.connect(() => {
    // The menu takes the focus; who works with the keyboard wants it back where it was.
    if (opener instanceof HTMLElement) {
      opener.focus();
    }
    requestAnimationFrame(() => menu.dispose());
  });
  menu.open(x, y);
}
