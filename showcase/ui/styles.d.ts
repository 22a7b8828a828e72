// Style sheets are imported for their effect: the bundler gathers them into one file per page.
declare module "*.css";
