import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import React from 'react';
import { it } from 'vitest';

import { ContainersModel } from '../model';
import { Host } from '../widgets/host';
import { host, show, until } from './page';
import { fakeApi, image, json, pathOf, sent } from './things';

it('measures the store again when an image has come', async () => {
  let tell: (text: string) => void = () => undefined;
  const body = new ReadableStream<Uint8Array>({
    start: controller => {
      tell = text => controller.enqueue(new TextEncoder().encode(text));
    }
  });
  let bytes = 1024;
  const { api } = fakeApi(request => {
    switch (pathOf(request)) {
      case 'feed':
        return new Response(body, { headers: { 'Content-Type': 'text/event-stream' } });
      case 'doctor':
        return json({ findings: [], store: { path: '/home/jovyan/store', bytes, free: 1024 ** 3 } });
      default:
        return json({ version: '1', api: 1 });
    }
  });
  const model = new ContainersModel(api);
  const props = { model, trans: nullTranslator.load(''), checks: new Signal<unknown, void>({}) };
  await show(<Host {...(props as unknown as React.ComponentProps<typeof Host>)} />);
  model.start();
  tell(sent('snapshot', { environments: [], containers: [], builds: [], images: [] }));
  await until(() => host.textContent.includes('1.00 KiB'));
  bytes = 2048;
  const item = image();
  tell(sent('change', { kind: 'image', key: item.digest, item }));
  await until(() => host.textContent.includes('2.00 KiB'));
  model.pause();
});
