import { LabIcon } from '@jupyterlab/ui-components';

import container from '../style/icons/container.svg';
import layers from '../style/icons/layers.svg';
import log from '../style/icons/log.svg';
import stop from '../style/icons/stop.svg';
import warning from '../style/icons/warning.svg';

export const containerIcon = new LabIcon({ name: 'jupyter-containers:container', svgstr: container });
export const layersIcon = new LabIcon({ name: 'jupyter-containers:layers', svgstr: layers });
export const logIcon = new LabIcon({ name: 'jupyter-containers:log', svgstr: log });
export const stopIcon = new LabIcon({ name: 'jupyter-containers:stop', svgstr: stop });
export const warningIcon = new LabIcon({ name: 'jupyter-containers:warning', svgstr: warning });
