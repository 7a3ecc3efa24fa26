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
  useModel(model, 'container', 'samples', 'connection');
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
  const now = Date.now() / 1000;
  return (
    <List label={trans.__('Running containers')} items={running} keyOf={item => item.container.id}>
      {(item, tabIndex) => (
        <RunningRow
          {...props}
          item={item}
          tabIndex={tabIndex}
          now={now}
          samples={model.samples.get(item.container.id) ?? []}
        />
      )}
    </List>
  );
}

function RunningRow(
  props: ISectionProps & { item: IRunning; tabIndex: 0 | -1; now: number; samples: readonly ISample[] }
): React.JSX.Element {
  const { commands, item, now, samples, tabIndex, trans } = props;
  return (
    <Row
      title={item.title}
      caption={item.caption}
      summary={summary(item, now, trans)}
      tone="good"
      buttons={
        item.session ? [CommandIDs.restartContainer, CommandIDs.stopContainer] : [CommandIDs.stopContainer]
      }
      menu={commandsFor(item)}
      menuLabel={trans.__('More about %1', item.title)}
      args={{ container: item.container.id }}
      commands={commands}
      tabIndex={tabIndex}
      details={() => <Details item={item} samples={samples} trans={trans} />}
    >
      {samples.length > 0 && <Figures item={item} samples={samples} trans={trans} />}
    </Row>
  );
}

function Figures(
  props: { item: IRunning; samples: readonly ISample[] } & Pick<ISectionProps, 'trans'>
): React.JSX.Element {
  const { item, samples, trans } = props;
  const last = samples[samples.length - 1];
  const cpu = samples.map(sample => sample.cpu_percent);
  const memory = samples.map(sample => sample.memory);
  const cpus = cpuLimit(item.container);
  return (
    <div className="jp-Containers-figures">
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
    </div>
  );
}

function Details(
  props: { item: IRunning; samples: readonly ISample[] } & Pick<ISectionProps, 'trans'>
): React.JSX.Element {
  const { trans } = props;
  const { caption, container } = props.item;
  const last = props.samples[props.samples.length - 1];
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
