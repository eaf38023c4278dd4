LANGUAGES = {
  en: 1,
  de: 1,
  eo: 1,
}