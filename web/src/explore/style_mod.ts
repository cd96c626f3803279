// CodeMirror writes its styles into a <style> element, which our content security policy refuses.
// This stands in for its "style-mod" and puts the same rules into an adopted style sheet.
import { StyleModule as Original } from '../../node_modules/style-mod/src/style-mod.js';

interface Module {
  getRules(): string;
}

const sheets = new WeakMap<object, { sheet: CSSStyleSheet; modules: Module[] }>();

export const StyleModule = Original as { mount: unknown };

StyleModule.mount = (root: Document | ShadowRoot, modules: Module | Module[]): void => {
  let entry = sheets.get(root);
  if (!entry) {
    entry = { sheet: new CSSStyleSheet(), modules: [] };
    sheets.set(root, entry);
    root.adoptedStyleSheets = [entry.sheet, ...root.adoptedStyleSheets];
  }
  const wanted = Array.isArray(modules) ? modules : [modules];
  if (wanted.every((m, i) => entry.modules[entry.modules.length - wanted.length + i] === m)) return;
  entry.modules = [...entry.modules.filter((m) => !wanted.includes(m)), ...wanted];
  entry.sheet.replaceSync(entry.modules.map((m) => m.getRules()).join('\n'));
};
