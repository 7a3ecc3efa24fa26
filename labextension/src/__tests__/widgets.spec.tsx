import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import React, { act } from 'react';
import { describe, expect, it, vi } from 'vitest';

import { containerIcon } from '../icons';
import { ContainersModel } from '../model';
import type { ISnapshot, SpecDocument } from '../rest';
import { CommandIDs } from '../tokens';
import { Environments } from '../widgets/environments';
import { Images } from '../widgets/images';
import { List, walk } from '../widgets/list';
import { BuildHead } from '../widgets/log';
import { LogLines } from '../widgets/loglines';
import { PackageSearch } from '../widgets/packagesearch';
import { SpecForm } from '../widgets/specform';
import { statusText } from '../widgets/status';
import { host, show, until } from './page';
import { build, environment, fakeApi, image, json, pathOf, sample, sent, stream } from './things';

const trans = nullTranslator.load('');
function registry(): { commands: CommandRegistry; executed: unknown[] } {
  const commands = new CommandRegistry();
  const executed: unknown[] = [];
  for (const id of Object.values(CommandIDs)) {
    commands.addCommand(id, { label: id, icon: containerIcon, execute: args => executed.push([id, args]) });
  }
  return { commands, executed };
}

async function liveModel(snapshot: Partial<ISnapshot>): Promise<ContainersModel> {
  const whole = { environments: [], containers: [], builds: [], images: [], ...snapshot };
  const model = new ContainersModel(
    fakeApi(request =>
      pathOf(request) === 'feed' ? stream(sent('snapshot', whole)) : json({ version: '1', api: 1 })
    ).api
  );
  model.start();
  await vi.waitFor(() => expect(model.connection.state).toBe('live'));
  await vi.waitFor(() => expect(model.images.size).toBe(whole.images.length));
  model.pause();
  return model;
}

describe('the section of environments', () => {
  it('shows each with its state, and runs what its button says', async () => {
    const model = await liveModel({
      environments: [
        environment(),
        environment({ name: 'b', display_name: '', state: 'broken', reason: 'its image is gone' })
      ]
    });
    await vi.waitFor(() => expect(model.environments.size).toBe(2));
    const { commands, executed } = registry();
    await show(<Environments model={model} commands={commands} trans={trans} />);
    const rows = [...host.querySelectorAll('li')];
    expect(rows.map(row => row.querySelector('.jp-Containers-title')?.textContent)).toEqual([
      'b',
      'Physics 1'
    ]);
    expect(rows[0].textContent).toContain('its image is gone');
    await act(async () =>
      host.querySelector<HTMLElement>(`[aria-label="${CommandIDs.startNotebook}"]`)!.click()
    );
    expect(executed).toEqual([[CommandIDs.startNotebook, { environment: 'physics-1' }]]);
    model.dispose();
  });

  it('tells the progress of a build to all senses', async () => {
    const model = await liveModel({
      environments: [environment({ state: 'building', phase: 'installing', percent: 40 })]
    });
    await vi.waitFor(() => expect(model.environments.size).toBe(1));
    await show(<Environments model={model} commands={registry().commands} trans={trans} />);
    const bar = host.querySelector('[role=progressbar]')!;
    expect(bar.getAttribute('aria-valuenow')).toBe('40');
    expect(host.textContent).toContain('building · installing · 40 %');
    model.dispose();
  });

  it('has a next step where it is empty', async () => {
    const model = await liveModel({});
    const { commands, executed } = registry();
    await show(<Environments model={model} commands={commands} trans={trans} />);
    await act(async () => host.querySelector('button')!.click());
    expect(executed).toEqual([[CommandIDs.newEnvironment, {}]]);
    model.dispose();
  });

  it('unfolds the details', async () => {
    const model = await liveModel({ images: [image()] });
    await show(<Images model={model} commands={registry().commands} trans={trans} />);
    const name = host.querySelector<HTMLElement>('.jp-Containers-row-name')!;
    expect(name.getAttribute('aria-expanded')).toBe('false');
    await act(async () => name.click());
    expect(name.getAttribute('aria-expanded')).toBe('true');
    expect([...host.querySelectorAll('.jp-Containers-layer-title')].map(item => item.textContent)).toEqual([
      'python: 31 packages',
      'base debian:trixie'
    ]);
    model.dispose();
  });
});

describe('List', () => {
  it('is one stop of the Tab key, and the arrows walk through it', async () => {
    await show(
      <List label="Things" items={['a', 'b', 'c']} keyOf={item => item}>
        {(item, tabIndex) => (
          <>
            <button tabIndex={tabIndex}>{item}</button>
            <button tabIndex={tabIndex}>more of {item}</button>
          </>
        )}
      </List>
    );
    const stops = () => [...host.querySelectorAll('[tabindex="0"]')].map(item => item.textContent);
    const press = (key: string) =>
      act(async () =>
        document.activeElement!.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }))
      );
    expect(stops()).toEqual(['a', 'more of a']);
    await act(async () => host.querySelector('button')!.focus());
    await press('ArrowDown');
    expect(document.activeElement?.textContent).toBe('b');
    expect(stops()).toEqual(['b', 'more of b']);
    await press('ArrowRight');
    expect(document.activeElement?.textContent).toBe('more of b');
    await press('End');
    expect(document.activeElement?.textContent).toBe('c');
    await press('ArrowDown');
    expect(document.activeElement?.textContent).toBe('c');
  });

  it('knows where keys lead', () => {
    expect(walk('ArrowUp', 0, 3, 0, 2)).toBeNull();
    expect(walk('Home', 2, 3, 1, 2)).toEqual({ row: 0, control: 0 });
    expect(walk('ArrowLeft', 1, 3, 1, 2)).toEqual({ row: 1, control: 0 });
    expect(walk('x', 1, 3, 1, 2)).toBeNull();
  });
});

describe('LogLines', () => {
  it('shows what programs write as text, whatever they write', async () => {
    const lines = new LogLines('Log');
    lines.add({ kind: 'output', text: '<img src=x onerror=alert(1)>' });
    lines.add({ kind: 'output', text: '\x1b[31mred\x1b[0m plain' });
    lines.add({ kind: 'error', text: 'it failed\ndo this' });
    await vi.waitFor(() => expect(lines.node.childElementCount).toBe(3));
    expect(lines.node.querySelector('img')).toBeNull();
    expect(lines.text).toBe('<img src=x onerror=alert(1)>\nred plain\nit failed\ndo this');
    expect(lines.node.querySelector('.jp-Containers-ansi-red')?.textContent).toBe('red');
    expect(lines.node.lastElementChild?.getAttribute('data-kind')).toBe('error');
    lines.dispose();
  });
});

describe('the head of a build log', () => {
  const head = (more: object, steps: { label: string; run: () => void }[] = []) =>
    show(<BuildHead build={build(more)} stage="apt · 3 of 4" steps={steps} trans={trans} />);

  it('tells what is being done', async () => {
    await head({});
    expect(host.querySelector('[role=status]')?.textContent).toBe('physics-1 is being built · apt · 3 of 4');
    expect(host.querySelector('[role=progressbar]')).not.toBeNull();
  });

  it('tells why it failed, and what to do', async () => {
    const run = vi.fn();
    await head({ state: 'failed', error: 'no such package', hint: 'check its name' }, [
      { label: 'Edit the spec', run }
    ]);
    expect(host.querySelector('[role=alert]')?.textContent).toContain('no such package — check its name');
    await act(async () => host.querySelector('button')!.click());
    expect(run).toHaveBeenCalledOnce();
  });
});

describe('the status bar', () => {
  it('tells environment, memory and CPU', () => {
    const text = statusText(
      { environment: environment(), sample: sample({ memory_limit: 1024 ** 3 }) },
      trans
    );
    expect(text).toBe('Physics 1 · 100 MiB of 1.00 GiB · CPU 3 %');
    expect(
      statusText({ environment: environment({ state: 'building' }), sample: undefined }, trans)
    ).toContain('building');
  });
});

describe('SpecForm', () => {
  const schema = {
    type: 'object',
    properties: {
      name: { type: 'string', description: 'The name.' },
      packages: {
        type: 'object',
        properties: { pip: { type: 'array', items: { type: 'string' }, default: [] } }
      },
      labels: { type: 'object', additionalProperties: { type: 'string' } }
    }
  };

  async function type(field: HTMLTextAreaElement | HTMLInputElement, value: string): Promise<void> {
    const prototype =
      field instanceof HTMLTextAreaElement ? HTMLTextAreaElement.prototype : HTMLInputElement.prototype;
    await act(async () => {
      Object.getOwnPropertyDescriptor(prototype, 'value')!.set!.call(field, value);
      field.dispatchEvent(new Event('input', { bubbles: true }));
    });
  }

  it('gives each field a label, and changes what is typed and nothing else', async () => {
    const documents: SpecDocument[] = [];
    await show(
      <SpecForm
        schema={schema}
        document={{ name: 'a', packages: { pip: ['six'] }, labels: { x: 'y' } }}
        disabled={false}
        trans={trans}
        onChange={document => documents.push(document)}
      />
    );
    const labels = [...host.querySelectorAll('label')];
    expect(labels.map(label => label.textContent)).toEqual(['name', 'pip', 'labels']);
    for (const label of labels) {
      expect(document.getElementById(label.htmlFor)).not.toBeNull();
    }
    await type(document.getElementById(labels[1].htmlFor) as HTMLTextAreaElement, 'six\n\nidna>=3\n');
    expect(documents).toEqual([{ name: 'a', packages: { pip: ['six', 'idna>=3'] }, labels: { x: 'y' } }]);
    await type(document.getElementById(labels[2].htmlFor) as HTMLTextAreaElement, 'a=b=c');
    expect(documents.at(-1)?.labels).toEqual({ a: 'b=c' });
  });
});

describe('PackageSearch', () => {
  it('finds a package, then its versions, and adds the requirement', async () => {
    const { api } = fakeApi(request =>
      pathOf(request).startsWith('packages?')
        ? json({
            items: [{ name: 'polars', version: '1.9', summary: 'Frames', requires_python: '' }],
            source: 'index'
          })
        : json({ name: 'polars', versions: ['1.9', '1.8'], summary: '' })
    );
    const onAdd = vi.fn();
    await show(<PackageSearch api={api} trans={trans} onAdd={onAdd} />);
    const box = host.querySelector('input')!;
    await act(async () => {
      Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!.call(box, 'pola');
      box.dispatchEvent(new Event('input', { bubbles: true }));
    });
    await until(() => host.querySelector('[role=option]')?.textContent?.includes('polars') === true);
    await act(
      async () => void box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true }))
    );
    await until(() => host.querySelectorAll('option').length === 4);
    const select = host.querySelector('select')!;
    await act(async () => {
      select.value = '==1.8';
      select.dispatchEvent(new Event('change', { bubbles: true }));
    });
    await act(async () => host.querySelector<HTMLElement>('.jp-mod-accept')!.click());
    expect(onAdd).toHaveBeenCalledWith('polars==1.8');
  });
});
