/**
 * Where tabs stand. JupyterLab has a main area for all of them. Notebook 7 shows one document a page, and its shell drops
 * what else is added to the main area without a word: there a tab goes beside the files (the page "tree"), or below the
 * document.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { TabPanel, Widget } from '@lumino/widgets';

type Shell = JupyterFrontEnd.IShell;

/** Whether the page is one of Notebook 7's, which has no main area for tabs. */
export function isNotebookPage(): boolean {
  return PageConfig.getOption('notebookPage') !== '';
}

/** Show a tab: it is added where it is not there yet, and comes to the front unless *options* say otherwise. */
export function showTab(shell: Shell, tab: Widget, options: DocumentRegistry.IOpenOptions = {}): void {
  if (!tab.isAttached) {
    const beside = tabsOf(shell);
    if (beside) {
      beside.addWidget(tab);
    } else {
      shell.add(tab, isNotebookPage() ? 'down' : 'main', options);
    }
  }
  if (options.activate !== false || isNotebookPage()) {
    // The area below a notebook stays folded, and its tabs behind, without the second line.
    shell.activateById(tab.id);
    bringToFront(tab);
  }
}

/** The tab in front; *last* is the one that was used last, among those that are asked about. */
export function frontTab(shell: Shell, last: Widget | null): Widget | null {
  return isNotebookPage() ? (last?.isVisible ? last : null) : shell.currentWidget;
}

/** The tabs of Notebook 7's page of files; null: another page. */
function tabsOf(shell: Shell): TabPanel | null {
  const [main] = isNotebookPage() ? [...shell.widgets('main')] : [];
  return main instanceof TabPanel ? main : null;
}

function bringToFront(tab: Widget): void {
  for (let outer = tab.parent; outer; outer = outer.parent) {
    if (outer instanceof TabPanel) {
      outer.currentWidget = tab;
    }
  }
}
