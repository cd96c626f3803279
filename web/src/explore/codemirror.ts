import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, completionStatus, startCompletion } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import { parser } from '@prometheus-io/lezer-promql';
import { root } from '../app/router';

// The heavy half of the editor, loaded when the page has been painted.

const theme = EditorView.theme({
  '&': { fontSize: '13px', backgroundColor: 'transparent', color: 'var(--ink)' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '20px', fontVariantLigatures: 'none' },
  '.cm-content': { padding: '5px 4px', caretColor: 'var(--ink)' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)' },
  '.cm-placeholder': { color: 'var(--faint)' },
  '&.cm-focused .cm-matchingBracket, .cm-matchingBracket': { backgroundColor: 'var(--accent-soft)', outline: 'none' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground, ::selection': { backgroundColor: 'var(--accent-soft)' },
  '.cm-tooltip': { backgroundColor: 'var(--card)', border: '1px solid var(--line)', borderRadius: '7px', boxShadow: '0 12px 32px rgb(0 0 0 / .28)', zIndex: '60' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', fontSize: '12px', maxHeight: '320px', minWidth: '340px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 8px', display: 'flex', gap: '8px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { background: 'var(--accent-soft)', color: 'var(--ink)' },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--accent)', fontWeight: '600' },
  '.cm-completionDetail': { marginLeft: 'auto', color: 'var(--faint)', fontStyle: 'normal' },
  '.cm-completionIcon': { display: 'none' },
  '.cm-completionInfo': { padding: '8px 10px', maxWidth: '360px', color: 'var(--dim)' },
  '.cm-diagnostic': { padding: '4px 8px' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--bad) 1px', textUnderlineOffset: '3px' },
});

const colors = HighlightStyle.define([
  { tag: [tags.function(tags.variableName), tags.keyword, tags.modifier, tags.operatorKeyword], color: 'var(--syn-func)' },
  { tag: tags.labelName, color: 'var(--syn-label)' },
  { tag: tags.string, color: 'var(--syn-string)' },
  { tag: [tags.number, tags.literal], color: 'var(--syn-number)' },
  { tag: [tags.operator, tags.punctuation, tags.bracket], color: 'var(--syn-op)' },
  { tag: tags.comment, color: 'var(--faint)', fontStyle: 'italic' },
  { tag: tags.invalid, color: 'var(--bad)' },
]);

export interface Editor {
  set(text: string): void;
  focus(): void;
  destroy(): void;
}

export function create(
  host: HTMLElement,
  text: string,
  on: { change: (text: string) => void; run: () => void; previous: () => string | null; next: () => string | null },
  label: string,
): Editor {
  const promql = new PromQLExtension().activateLinter(true).setComplete({ remote: { url: root.replace(/\/$/, ''), httpMethod: 'GET' } });
  const recall = (pick: () => string | null) => (view: EditorView): boolean => {
    if (completionStatus(view.state) !== null || view.state.doc.lines > 1) return false;
    const entry = pick();
    if (entry === null) return false;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: entry }, selection: { anchor: entry.length } });
    return true;
  };
  // What is set from outside is known there: telling it back would make the two chase each other.
  let setting = false;
  const view = new EditorView({
    parent: host,
    state: EditorState.create({
      doc: text,
      extensions: [
        history(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ icons: false, maxRenderedOptions: 60 }),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false', autocapitalize: 'off' }),
        theme,
        syntaxHighlighting(colors),
        promql.asExtension(),
        placeholder('PromQL expression; Shift-Enter for a new line'),
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap, { key: 'Ctrl-Space', run: startCompletion }]),
        Prec.high(
          keymap.of([
            { key: 'Enter', run: (v) => (completionStatus(v.state) === 'active' ? false : (on.run(), true)) },
            { key: 'Shift-Enter', run: insertNewlineAndIndent },
            { key: 'ArrowUp', run: recall(on.previous) },
            { key: 'ArrowDown', run: recall(on.next) },
          ]),
        ),
        EditorView.updateListener.of((u) => u.docChanged && !setting && on.change(u.state.doc.toString())),
      ],
    }),
  });
  return {
    set(next) {
      if (next === view.state.doc.toString()) return;
      setting = true;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
      setting = false;
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

// The expression as a tree of what is evaluated.
export interface TreeNode {
  kind: string;
  text: string;
  label: string;
  children: TreeNode[];
}

const KINDS = new Set(['AggregateExpr', 'BinaryExpr', 'FunctionCall', 'MatrixSelector', 'OffsetExpr', 'ParenExpr', 'StepInvariantExpr', 'SubqueryExpr', 'UnaryExpr', 'VectorSelector', 'NumberDurationLiteral', 'NumberLiteral', 'StringLiteral']);

export function tree(expression: string): TreeNode | null {
  const parsed = parser.parse(expression);
  const found: TreeNode[] = [];
  const stack: { node: TreeNode; to: number }[] = [];
  parsed.iterate({
    enter: (n) => {
      if (!KINDS.has(n.name)) return;
      if (n.name === 'ParenExpr') return;
      const text = expression.slice(n.from, n.to);
      let label = text;
      if (n.name === 'BinaryExpr') {
        const lhs = n.node.firstChild;
        const rhs = n.node.lastChild;
        label = lhs && rhs ? expression.slice(lhs.to, rhs.from).trim() : text;
      } else if (n.name === 'FunctionCall') label = `${expression.slice(n.from, expression.indexOf('(', n.from))}()`;
      else if (n.name === 'AggregateExpr') {
        const body = n.node.getChild('FunctionCallBody');
        const modifier = n.node.getChild('AggregateModifier');
        label = [expression.slice(n.from, Math.min(body?.from ?? n.to, modifier?.from ?? n.to)).trim(), modifier ? expression.slice(modifier.from, modifier.to) : ''].filter(Boolean).join(' ');
      }
      const made: TreeNode = { kind: n.name, text, label, children: [] };
      while (stack.length > 0 && stack[stack.length - 1].to < n.to) stack.pop();
      const parent = stack[stack.length - 1];
      if (parent) parent.node.children.push(made);
      else found.push(made);
      stack.push({ node: made, to: n.to });
    },
    leave: (n) => {
      if (stack.length > 0 && KINDS.has(n.name) && n.name !== 'ParenExpr') stack.pop();
    },
  });
  return found[0] ?? null;
}
