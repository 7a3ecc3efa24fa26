/** The plugins of the front end, one per feature. */
import { environmentsPlugin } from './plugins/environments';
import { imagesPlugin } from './plugins/images';
import { modelPlugin } from './plugins/model';
import { panelPlugin } from './plugins/panel';
import { runningPlugin } from './plugins/running';

export * from './tokens';

export default [modelPlugin, panelPlugin, environmentsPlugin, runningPlugin, imagesPlugin];
