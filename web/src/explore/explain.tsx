import { useEffect, useState } from 'preact/hooks';
import { ApiError, query } from '../api/client';
import { Skeleton } from '../ui/parts';
import type { TreeNode } from './codemirror';

// The tree of an expression with what each node answers now.
function Node({ node }: { node: TreeNode }) {
  const [seen, setSeen] = useState<{ count: number; ms: number } | { error: string } | null>(null);
  const constant = node.kind === 'StringLiteral' || node.kind.startsWith('Number');
  useEffect(() => {
    if (constant) return;
    const abort = new AbortController();
    query(node.text, Date.now() / 1000, abort.signal)
      .then((a) => setSeen({ count: a.data.resultType === 'vector' || a.data.resultType === 'matrix' ? a.data.result.length : 1, ms: a.ms }))
      .catch((e) => !abort.signal.aborted && setSeen({ error: e instanceof ApiError ? e.message : String(e) }));
    return () => abort.abort();
  }, [node.text]);
  return (
    <li>
      <span class="tree-node" data-tree-node={node.kind} title={node.text}>
        <span>{node.label}</span>
        {!constant && (
          <small data-tree-count>{seen === null ? '…' : 'error' in seen ? <span title={seen.error}>error</span> : `${seen.count} series · ${Math.round(seen.ms)} ms`}</small>
        )}
      </span>
      {node.children.length > 0 && (
        <ul>
          {node.children.map((child, i) => (
            <Node key={i + child.text} node={child} />
          ))}
        </ul>
      )}
    </li>
  );
}

export function Explain({ expr }: { expr: string }) {
  const [root, setRoot] = useState<TreeNode | null | undefined>(undefined);
  useEffect(() => {
    let current = true;
    void import('./codemirror').then((m) => current && setRoot(m.tree(expr)));
    return () => {
      current = false;
    };
  }, [expr]);
  if (root === undefined) return <Skeleton />;
  if (root === null) return <p class="dim pad">This does not parse as an expression.</p>;
  return (
    <div class="tree">
      <ul>
        <Node key={expr} node={root} />
      </ul>
    </div>
  );
}
