import { describe, expect, it } from 'vitest';

import { ApiError } from '../api';
import type { ISentEvent } from '../sse';
import { environment, fakeApi, json, pathOf, sent, stream } from './things';

describe('requests', () => {
  it('go below the base URL, with names as one part of the path', async () => {
    const { api, requests } = fakeApi(() => json({ added: [], removed: [], changed: [], reasons: [] }));
    await api.lockDiff('a/b c');
    expect(requests[0].url).toContain('http://127.0.0.1:1/base/jupyter-containers/api/');
    expect(pathOf(requests[0])).toBe('environments/a%2Fb%20c/lock');
  });

  it('send bodies as JSON, and queries', async () => {
    const { api, requests } = fakeApi(() => json(environment()));
    await api.createFromText('name = "x"', 'course');
    expect(requests[0].method).toBe('POST');
    expect(await requests[0].json()).toEqual({ text: 'name = "x"', folder: 'course' });
    await api.forget('x', true);
    expect(requests[1].method).toBe('DELETE');
    expect(pathOf(requests[1])).toBe('environments/x?image=true');
  });

  it('take an answer without a body', async () => {
    const { api } = fakeApi(() => new Response(null, { status: 204 }));
    expect(await api.forget('x', false)).toBeUndefined();
  });

  it('throw what the server says of an error, with its hint', async () => {
    const reply = {
      message: 'no such environment',
      reason: 'NotFoundError',
      hint: 'look',
      problems: [],
      output: ''
    };
    const { api } = fakeApi(() => json(reply, 404));
    const error = (await api.spec('x').catch((reason: unknown) => reason)) as ApiError;
    expect(error).toBeInstanceOf(ApiError);
    expect([error.status, error.message, error.hint]).toEqual([404, 'no such environment', 'look']);
  });

  it("tell of a proxy's page by its status", async () => {
    const { api } = fakeApi(
      () => new Response('<h1>Bad gateway</h1>', { status: 502, statusText: 'Bad Gateway' })
    );
    await expect(api.version()).rejects.toThrow('502 Bad Gateway');
  });

  it('tell of no answer with status 0', async () => {
    const { api } = fakeApi(() => Promise.reject(new TypeError('Failed to fetch')));
    await expect(api.version()).rejects.toMatchObject({ status: 0, message: 'Failed to fetch' });
  });
});

describe('follow', () => {
  const collect = async (events: AsyncGenerator<ISentEvent>, until: string) => {
    const found: string[] = [];
    for await (const event of events) {
      found.push(`${event.type} ${event.data}`);
      if (event.type === until) {
        break;
      }
    }
    return found;
  };

  it('goes on after the last event when the connection breaks', async () => {
    let connection = 0;
    const { api, requests } = fakeApi(() =>
      ++connection === 1
        ? stream(sent('output', 1, '10') + sent('output', 2, '20'))
        : stream(sent('output', 3, '30') + sent('end', 4, '30'))
    );
    const signal = new AbortController().signal;
    expect(await collect(api.followBuild('b', { signal }), 'end')).toEqual([
      'output 1',
      'output 2',
      'output 3',
      'end 4'
    ]);
    expect(requests.map(request => request.headers.get('Last-Event-ID'))).toEqual([null, '20']);
  });

  it('tells when the server is away, and comes back', async () => {
    let connection = 0;
    const { api } = fakeApi(() =>
      ++connection === 1 ? Promise.reject(new TypeError('Failed to fetch')) : stream(sent('end', 1))
    );
    const states: string[] = [];
    const signal = new AbortController().signal;
    await collect(api.feed({ signal, onState: state => states.push(state) }), 'end');
    expect(states).toEqual(['lost', 'open']);
  });

  it('gives up where waiting does not help', async () => {
    const { api } = fakeApi(() => json({ message: 'no such build' }, 404));
    const signal = new AbortController().signal;
    await expect(collect(api.followBuild('b', { signal }), 'end')).rejects.toThrow('no such build');
  });

  it('ends when it is told to', async () => {
    const abort = new AbortController();
    const { api } = fakeApi(() => stream(sent('output', 1)));
    const found: string[] = [];
    for await (const event of api.feed({ signal: abort.signal })) {
      found.push(event.data);
      abort.abort();
    }
    expect(found).toEqual(['1']);
  });
});
