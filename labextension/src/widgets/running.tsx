/** The section "Running": containers of kernels and of commands. */
import type { Session } from '@jupyterlab/services';
import React, { useEffect, useReducer } from 'react';

import {
  ceiling,
  commandsFor,
  cpuLimit,
  cpuText,
  describeRunning,
  IRunning,
  memoryText,
  summary
} from '../containers';
import { shortDigest } from '../format';
import type { ISample } from '../rest';
import { CommandIDs } from '../tokens';
import { List } from './list';
import { Empty, Facts } from './messages';
import { Row } from './row';
import { ISectionProps, useModel } from './section';
import { Sparkline } from './sparkline';

export interface IRunningProps extends ISectionProps {
  sessions: Session.IManager;
}

export function Running(props: IRunningProps): React.JSX.Element | null {
  const { model, sessions, trans } = props;
  useModel(model, 'container', 'connection');
  useSessions(sessions);
  const running = describeRunning(model.containers, sessions.running(), trans);
  if (running.length === 0) {
    return model.connection.state === 'live' ? (
      <Empty
        text={trans.__(
          'Nothing runs. A notebook of an environment gets a container of its own when its kernel starts.'
        )}
      />
    ) : null;
  }
  return (
    <List
      label={trans.__('Running containers')}
      items={running}
      keyOf={item => item.container.id}
      filter={{
        label: trans.__('Filter running containers'),
        textOf: item => `${item.caption} ${item.environment} ${item.container.name} ${item.container.id}`,
        none: trans.__('No container has all of these words.')
      }}
    >
      {(item, tabIndex, seen) => (
        <RunningRow
          commands={props.commands}
          model={model}
          trans={trans}
          item={item}
          tabIndex={tabIndex}
          seen={seen}
        />
      )}
    </List>
  );
}

interface IRowProps extends ISectionProps {
  item: IRunning;
  tabIndex: 0 | -1;
  seen: boolean;
}

const RunningRow = React.memo(function RunningRow(props: IRowProps): React.JSX.Element {
  const { commands, item, model, seen, tabIndex, trans } = props;
  // Measurements come every two seconds: with them come the figures, and how long it has been running.
  useModel(model, ...(seen ? SAMPLES : []));
  const samples = model.samples.get(item.container.id) ?? [];
  return (
    <Row
      title={item.title}
      caption={item.caption}
      summary={summary(item, Date.now() / 1000, trans)}
      tone="good"
      buttons={
        item.session ? [CommandIDs.restartContainer, CommandIDs.stopContainer] : [CommandIDs.stopContainer]
      }
      menu={commandsFor(item)}
      menuLabel={trans.__('More about %1', item.title)}
      args={{ container: item.container.id }}
      commands={commands}
      tabIndex={tabIndex}
      seen={seen}
      details={() => <Details item={item} samples={samples} trans={trans} />}
    >
      <div className="jp-Containers-figures">
        {seen && samples.length > 0 && <Sparklines item={item} samples={samples} trans={trans} />}
      </div>
    </Row>
  );
}, saysTheSame);

/** The list describes what runs anew each time; a row is only drawn anew where something of it has changed. */
function saysTheSame(before: IRowProps, after: IRowProps): boolean {
  const [old, item] = [before.item, after.item];
  return (
    before.seen === after.seen &&
    before.tabIndex === after.tabIndex &&
    old.container === item.container &&
    old.session === item.session &&
    old.title === item.title &&
    old.caption === item.caption
  );
}

interface IMeasuredProps extends Pick<ISectionProps, 'trans'> {
  item: IRunning;
  samples: readonly ISample[];
}

const SAMPLES = ['samples'] as const;

function Sparklines(props: IMeasuredProps): React.JSX.Element {
  const { item, samples, trans } = props;
  const last = samples[samples.length - 1];
  const cpu = samples.map(sample => sample.cpu_percent);
  const memory = samples.map(sample => sample.memory);
  const cpus = cpuLimit(item.container);
  return (
    <>
      <Sparkline
        name={trans.__('Memory')}
        text={memoryText(last, trans)}
        values={memory}
        ceiling={ceiling(memory, last.memory_limit)}
        limited={last.memory_limit !== null}
      />
      <Sparkline
        name={trans.__('CPU')}
        text={cpuText(last)}
        values={cpu}
        ceiling={ceiling(cpu, cpus)}
        limited={cpus !== null}
      />
    </>
  );
}

function Details(props: IMeasuredProps): React.JSX.Element {
  const { item, samples, trans } = props;
  const { caption, container } = item;
  const last = samples.at(-1);
  const facts: [string, React.ReactNode][] = [
    [
      container.kind === 'kernel' ? trans.__('Notebook') : trans.__('Command'),
      <span title={caption}>{caption}</span>
    ],
    [trans.__('Container'), `${container.name} (${container.id})`],
    [trans.__('Image'), <code title={container.image}>{shortDigest(container.image)}</code>]
  ];
  if (last) {
    facts.push([trans.__('Processes'), String(last.pids)]);
  }
  for (const limit of container.limits.filter(item => !item.enforced_by)) {
    facts.push([limit.limit, trans.__('not enforced. %1', limit.note)]);
  }
  return <Facts facts={facts} />;
}

/** Render again when notebooks are opened, renamed or closed. */
function useSessions(sessions: Session.IManager): void {
  const [, render] = useReducer((count: number) => count + 1, 0);
  useEffect(() => {
    const slot = () => render();
    sessions.runningChanged.connect(slot);
    return () => void sessions.runningChanged.disconnect(slot);
  }, [sessions]);
}
