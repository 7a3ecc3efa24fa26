import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { ContainersModel, ItemChange, Topic } from '../model';
import type { IDeath, ISnapshot } from '../rest';
import {
  build,
  container,
  death,
  environment,
  fakeApi,
  image,
  json,
  pathOf,
  sample,
  sent,
  stream
} from './things';

const EMPTY: ISnapshot = { environments: [], containers: [], builds: [], images: [] };

function snapshot(more: Partial<ISnapshot> = {}): string {
  return JSON.stringify({ ...EMPTY, ...more });
}

describe('ContainersModel', () => {
  let model: ContainersModel;
  let changes: ItemChange[];
  let topics: string[][];

  beforeEach(() => {
    vi.useFakeTimers();
    model = new ContainersModel(fakeApi(() => json({})).api);
    changes = [];
    topics = [];
    model.itemChanged.connect((_, change) => changes.push(change));
    model.changed.connect((_, changed: ReadonlySet<Topic>) => topics.push([...changed].sort()));
  });

  afterEach(() => {
    model.dispose();
    vi.useRealTimers();
  });

  it('takes in a snapshot, and tells of it once', () => {
    model.receive('snapshot', snapshot({ environments: [environment()], images: [image()] }));
    vi.runAllTimers();
    expect([...model.environments.keys()]).toEqual(['physics-1']);
    expect([...model.images.keys()]).toEqual([image().digest]);
    expect(topics).toEqual([['build', 'container', 'environment', 'image', 'job']]);
    expect(changes).toEqual([]); // nothing has changed: it was not known before
  });

  it('tells of a change as it was and as it is', () => {
    model.receive('snapshot', snapshot({ builds: [build()] }));
    const done = build({ state: 'done' });
    model.receive('change', JSON.stringify({ kind: 'build', key: done.id, item: done }));
    expect(changes).toEqual([{ kind: 'build', key: done.id, before: build(), item: done }]);
    expect(model.builds.get(done.id)).toEqual(done);
  });

  it('tells of a death, which is no state of anything', () => {
    const deaths: IDeath[] = [];
    model.died.connect((_, told) => deaths.push(told));
    model.receive('death', JSON.stringify(death()));
    expect(deaths).toEqual([death()]);
  });

  it('is needed until nobody needs it any more', () => {
    const [one, other] = [model.need(), model.need()];
    one.dispose();
    one.dispose();
    expect(model.isNeeded).toBe(true);
    other.dispose();
    expect(model.isNeeded).toBe(false);
  });

  it('forgets what is gone, with its samples', () => {
    model.receive('snapshot', snapshot({ containers: [container()] }));
    model.receive('stats', JSON.stringify({ items: [sample()] }));
    expect(model.samples.get(container().id)).toHaveLength(1);
    model.receive('change', JSON.stringify({ kind: 'container', key: container().id, item: null }));
    expect(model.containers.size).toBe(0);
    expect(model.samples.size).toBe(0);
  });

  it('tells after a reconnection what has changed meanwhile, and only that', () => {
    const [kept, gone, turned] = ['kept', 'gone', 'turned'].map(name => environment({ name }));
    model.receive('snapshot', snapshot({ environments: [kept, gone, turned] }));
    const now = environment({ name: 'turned', state: 'broken' });
    model.receive('snapshot', snapshot({ environments: [kept, now, environment({ name: 'new' })] }));
    expect(changes.map(change => [change.key, change.before !== null, change.item !== null])).toEqual([
      ['gone', true, false],
      ['turned', true, true],
      ['new', false, true]
    ]);
  });

  it('tells of many changes in one go', () => {
    model.receive('snapshot', snapshot({ builds: [build()] }));
    for (let percent = 0; percent < 100; percent++) {
      model.receive('change', JSON.stringify({ kind: 'build', key: 'b', item: build({ id: 'b', percent }) }));
    }
    vi.runAllTimers();
    expect(topics).toHaveLength(1);
  });

  it('passes over what it does not know', () => {
    model.receive('change', JSON.stringify({ kind: 'volume', key: 'v', item: {} }));
    model.receive('weather', '{}');
    vi.runAllTimers();
    expect(topics).toEqual([]);
  });
});

describe('the connection', () => {
  const connect = async (respond: (request: Request) => Response | Promise<Response>) => {
    const model = new ContainersModel(fakeApi(respond).api);
    model.start();
    await vi.waitFor(() => expect(model.connection.state).not.toBe('connecting'));
    const { connection } = model;
    model.dispose();
    return connection;
  };

  it('stands once the feed is open', async () => {
    const answer = (request: Request) =>
      pathOf(request) === 'feed' ? stream(sent('snapshot', EMPTY)) : json({ version: '1', api: 1 });
    expect(await connect(answer)).toEqual({ state: 'live' });
  });

  it('is refused by a server of another interface', async () => {
    const server = { version: '9', api: 2 };
    expect(await connect(() => json(server))).toEqual({ state: 'incompatible', server });
  });

  it('is not there on a server without the extension', async () => {
    expect(await connect(() => new Response('404', { status: 404 }))).toEqual({ state: 'absent' });
  });

  it('is lost where nobody answers', async () => {
    expect(await connect(() => Promise.reject(new TypeError('Failed to fetch')))).toMatchObject({
      state: 'lost'
    });
  });

  it('tells why it is refused', async () => {
    const refusal = { message: 'Forbidden', hint: '' };
    expect(await connect(() => json(refusal, 403))).toEqual({
      state: 'refused',
      message: 'Forbidden',
      hint: ''
    });
  });
});
