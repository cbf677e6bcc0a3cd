// The front end's rules, and those of its tests. Paths are seen from the repository's root, where eslint is started.

import js from "@eslint/js";
import globals from "globals";

const FRONT = "dia2/{inspect/views/explorer,inspect/views/sweeps,serve}/front/*.js";
const TESTS = "tests/front/**/*.js";

const MARKUP = "Texts come from a trace, which can come from anybody: make elements by h(), which sets texts as text.";

/** Types that say nothing, and orders to the type checker to look away without a reason. */
const honest = {
  create: ({ sourceCode, report }) => ({
    Program() {
      for (const node of sourceCode.getAllComments()) {
        if (types(node.value).some((type) => /\b(any|Function|Object)\b|[{<]\*[>}]/.test(type))) {
          report({ node, message: "A type that says nothing: name what it is, or unknown." });
        }
        if (/@ts-(ignore|nocheck)|@ts-expect-error\s*$/.test(node.value)) {
          report({ node, message: "Let the checker look, or say why not: @ts-expect-error, and the reason." });
        }
      }
    },
  }),
};

/** The types in a comment: what stands in braces behind a tag. */
function types(comment) {
  return Array.from(comment.matchAll(/@\w+\s+(\{.*\})/g), ([, type]) => type);
}

export default [
  { ignores: [".*/**", "build/**", "dist/**"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    plugins: { own: { rules: { honest } } },
    rules: {
      "array-callback-return": "error",
      "default-case-last": "error",
      eqeqeq: "error",
      "func-style": ["error", "declaration", { allowArrowFunctions: true }],
      "max-len": ["error", { code: 120 }],
      "no-console": "error",
      "no-eval": "error",
      "no-implicit-coercion": "error",
      "no-implied-eval": "error",
      "no-loop-func": "error",
      "no-new-func": "error",
      "no-param-reassign": "error",
      "no-promise-executor-return": "error",
      "no-self-compare": "error",
      "no-shadow": ["error", { builtinGlobals: false, hoist: "functions" }],
      "no-throw-literal": "error",
      "no-unmodified-loop-condition": "error",
      "no-unused-expressions": "error",
      "no-use-before-define": ["error", { functions: false, classes: false, variables: false }],
      "no-useless-return": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "own/honest": "error",
      "prefer-const": "error",
      "prefer-template": "error",
      radix: "error",
    },
  },
  {
    files: [FRONT],
    languageOptions: { globals: globals.browser },
    rules: {
      "no-restricted-properties": [
        "error",
        ...["innerHTML", "outerHTML", "insertAdjacentHTML"].map((property) => ({ property, message: MARKUP })),
        { object: "document", property: "write", message: MARKUP },
      ],
    },
  },
  { files: [TESTS], languageOptions: { globals: globals.nodeBuiltin } },
];
