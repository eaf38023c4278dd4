export const LANGUAGES = {
  en: "English",
  "de": "Deutsch",
};