import eslint from "typescript-eslint";

export default eslint.config(
  { ignores: ["dist", "node_modules"] },
  {
    files: ["src/**/*.ts"],
    extends: [...eslint.configs.strictTypeChecked, ...eslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: { "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }] },
  },
);
