import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['lib', 'node_modules', '**/*.mjs', '**/*.mts', '**/*.js'] },
  tseslint.configs.recommendedTypeChecked,
  {
    plugins: { 'react-hooks': reactHooks },
    languageOptions: { parserOptions: { project: './tsconfig.test.json' } },
    rules: {
      'react-hooks/rules-of-hooks': 'error',
      'react-hooks/exhaustive-deps': 'error',
      // A name that only takes something away from an object, and a namespace beside a token, as JupyterLab has them.
      '@typescript-eslint/no-namespace': 'off'
    }
  }
);
