import{z as a}from"./index-FNUeXmMt.js";function u(r,o){return a("rules",r===""?{}:{type:r},o).then(t=>t.data.groups)}export{u as l};
