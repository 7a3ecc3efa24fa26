import { LabIcon } from '@jupyterlab/ui-components';

import container from '../style/icons/container.svg';
import layers from '../style/icons/layers.svg';

export const containerIcon = new LabIcon({ name: 'jupyter-containers:container', svgstr: container });
export const layersIcon = new LabIcon({ name: 'jupyter-containers:layers', svgstr: layers });
