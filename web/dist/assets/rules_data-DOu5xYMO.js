import{g as a}from"./index-B1s_KJZo.js";function u(r,o){return a("rules",r===""?{}:{type:r},o).then(t=>t.data.groups)}export{u as l};
