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
      '@typescript-eslint/no-namespace': 'off' // ids of commands stand in one, as JupyterLab has them
    }
  },
  // act() of React wants asynchronous functions, whether they wait or not.
  { files: ['src/__tests__/**'], rules: { '@typescript-eslint/require-await': 'off' } }
);
