/** The rules of this repository for oxlint, which loads this file by its name in `.oxlintrc.json`. */
import { relative, resolve, sep } from "node:path";
import { judgeImport } from "./imports.ts";

const root = resolve(import.meta.dirname, "../..");

/** A node of the syntax tree, as far as these rules look at it. */
interface Node {
  readonly source?: { readonly type: string; readonly value?: unknown } | null;
}

interface Context {
  readonly filename: string;
  report(problem: { node: Node; message: string }): void;
}

interface Rule {
  create(context: Context): Record<string, (node: Node) => void>;
}

/** Every form of import, also of types, and re-exports. */
const imports: Rule = {
  create(context) {
    const file = relative(root, context.filename).split(sep).join("/");
    const judge = (node: Node): void => {
      const specifier = node.source?.value;
      const message = typeof specifier === "string" ? judgeImport(root, file, specifier) : undefined;
      if (message !== undefined) context.report({ node, message });
    };
    return {
      ImportDeclaration: judge,
      ImportExpression: judge,
      TSImportType: judge,
      ExportNamedDeclaration: judge,
      ExportAllDeclaration: judge,
    };
  },
};

/** An index.ts names what it re-exports. */
const noExportAll: Rule = {
  create(context) {
    return {
      ExportAllDeclaration: (node): void => context.report({ node, message: "name what is exported: no `export *`" }),
    };
  },
};

const plugin: { meta: { name: string }; rules: Record<string, Rule> } = {
  meta: { name: "protoloom" },
  rules: { imports, "no-export-all": noExportAll },
};

export default plugin;
